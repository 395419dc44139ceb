#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pgbouncer_config
short_description: Configure a host's pgbouncer as a whole, within a budget of connections
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Owns C(pgbouncer.ini), the HBA file, the file with the pooler's own login, and a drop-in of the unit. What it
    does not know in C(pgbouncer.ini) stays, comments included; the sections of databases and users become exactly
    what is declared.
  - Before anything is written it adds up what the pools and everybody else may open and refuses what the server has
    not, refuses settings that this version of pgbouncer has not, and certificates that do not fit their keys.
  - A reload is all that is done when a reload is enough. What needs a restart waits as long as clients are
    connected, unless O(restart) says otherwise. Afterwards the running process must say what is declared (C(SHOW
    CONFIG), C(SHOW DATABASES)), or the previous files are put back.
  - Clients come with SCRAM, from the declared networks, and from other hosts with TLS. Services have no password in
    any file.
  - The module is the heart of the role C(dbops.postgres.pgbouncer), which documents each option as a variable
    C(pgbouncer_*). It runs as root on the pooler's host, which has Debian's package of pgbouncer.
requirements:
  - psycopg2 on the host
options:
  databases:
    description: What is pooled.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name under which clients connect.
        type: str
        required: true
      users:
        description: Logins that may come; each has a pool of its own.
        type: list
        elements: str
        required: true
      addresses:
        description: Networks of their clients. By default O(addresses).
        type: list
        elements: str
      dbname:
        description: Name of the database, if it is another one.
        type: str
      host:
        description: Where it is. By default O(server_host).
        type: str
      port:
        description: Port of its server. By default O(server_port).
        type: int
      pool_size:
        description: Server connections of each user. By default O(pool_size).
        type: int
      min_pool_size:
        description: How many of them stay open.
        type: int
      reserve_pool_size:
        description: >-
          Further connections for clients that have waited for C(reserve_pool_timeout). By default
          O(reserve_pool_size).
        type: int
      pool_mode:
        description: V(transaction) unless the application needs sessions.
        type: str
        choices: [transaction, session, statement]
  addresses:
    description: Networks of the clients.
    type: list
    elements: str
    default: [127.0.0.1/32, "::1/128"]
  listen_addresses:
    description: Addresses of this host to listen on.
    type: list
    elements: str
    default: [localhost]
  port:
    description: Port to listen on.
    type: int
    default: 6432
  server_host:
    description: Where PostgreSQL is.
    type: str
    default: 127.0.0.1
  server_port:
    description: Its port.
    type: int
    default: 5432
  server_tls_mode:
    description: How much is asked of PostgreSQL's certificate.
    type: str
    choices: [disable, prefer, require, verify-ca, verify-full]
    default: verify-full
  server_tls_ca:
    description: The authority of PostgreSQL's certificate.
    type: path
  tls_certificate:
    description: Certificate that clients see, in PEM. Needed as soon as clients come from another host.
    type: path
  tls_key:
    description: Its key, readable by the user C(postgres).
    type: path
  auth_user:
    description: The login that looks passwords up, see M(dbops.postgres.pgbouncer_auth).
    type: str
    default: dbops_pooler
  auth_password:
    description: Its password; kept in a file of mode 0600.
    type: str
    required: true
  max_client_conn:
    description: How many clients may be connected at once; the next one is refused.
    type: int
    default: 100
  pool_size:
    description: Server connections of a pool that does not say otherwise.
    type: int
    default: 5
  reserve_pool_size:
    description: Reserve of a pool that does not say otherwise.
    type: int
    default: 0
  max_connections:
    description: What PostgreSQL has (C(max_connections)).
    type: int
    default: 100
  superuser_reserved:
    description: What it keeps for superusers (C(superuser_reserved_connections)).
    type: int
    default: 3
  direct:
    description: Who connects to PostgreSQL without the pool, and with how many connections at most.
    type: dict
    default: {}
  settings:
    description: Further settings of pgbouncer.
    type: dict
    default: {}
  restart:
    description:
      - When a restart is done that a setting needs. Connections of clients end with it.
      - V(when_idle) does it as long as no client is connected, otherwise it stays pending, with a warning.
      - V(rolling) replaces one of several processes after the other; the others take the new clients meanwhile. Needs
        O(processes) of 2 or more and pgbouncer 1.23.
    type: str
    choices: [when_idle, when_required, rolling, never]
    default: when_idle
  restart_wait:
    description: Seconds that clients have to leave a process that is replaced. Then they are disconnected.
    type: int
    default: 60
  processes:
    description:
      - How many processes share the port (C(so_reuseport)), each on a processor of its own. Needs pgbouncer 1.19, which
        passes the cancelling of a query on between them.
      - The sizes of pools are for all of them together, and divided. O(max_client_conn) holds for each, because the
        system does not deal clients out evenly.
    type: int
    default: 1
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
extends_documentation_fragment:
  - dbops.postgres.attributes
seealso:
  - module: dbops.postgres.pgbouncer_auth
"""

EXAMPLES = r"""
- name: Pool two services
  dbops.postgres.pgbouncer_config:
    listen_addresses: [10.0.1.10]
    addresses: [10.0.2.0/24]
    tls_certificate: /etc/dbops-postgres/tls/server.crt
    tls_key: /etc/dbops-postgres/tls/server.key
    server_tls_ca: /etc/dbops-postgres/tls/ca.crt
    server_tls_mode: verify-ca
    auth_password: "{{ vault_pgbouncer_auth_password }}"
    databases:
      - {name: payments_db, users: [payments_prod_app], pool_size: 10}
      - {name: auth_db, users: [auth_prod_app]}
    direct: {payments_prod_migrator: 4, auth_prod_migrator: 4, postgres_exporter: 2}
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, in order.
  returned: success
  type: list
  elements: str
  sample: [write /etc/pgbouncer/pgbouncer.ini, reload pgbouncer.service]
pending_restart:
  description: What waits for a restart.
  returned: success
  type: list
  elements: str
  sample: [listen_addr]
budget:
  description: Who may hold how many connections of PostgreSQL.
  returned: success
  type: dict
  contains:
    max_connections:
      description: What it has.
      type: int
    taken:
      description: What was promised.
      type: int
    shares:
      description: By whom, largest first.
      type: list
      elements: dict
  sample:
    max_connections: 100
    taken: 20
    shares: [{who: pool payments_db / payments_prod_app, connections: 10, how: ""}]
"""

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.apply import (
    apply,
    refuse_bad_certificates,
    refuse_what_is_not_taken,
)
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.observe import observe
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.plan import UNIT, plan
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.spec import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMES = {"type": "list", "elements": "str"}
_MODES = ["transaction", "session", "statement"]

ARGUMENTS: dict[str, dict[str, Any]] = {
    "databases": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "users": {**_NAMES, "required": True},
            "addresses": _NAMES,
            "dbname": {"type": "str"},
            "host": {"type": "str"},
            "port": {"type": "int"},
            "pool_size": {"type": "int"},
            "min_pool_size": {"type": "int"},
            "reserve_pool_size": {"type": "int"},
            "pool_mode": {"type": "str", "choices": _MODES},
        },
    },
    "addresses": {**_NAMES, "default": ["127.0.0.1/32", "::1/128"]},
    "listen_addresses": {**_NAMES, "default": ["localhost"]},
    "port": {"type": "int", "default": 6432},
    "server_host": {"type": "str", "default": "127.0.0.1"},
    "server_port": {"type": "int", "default": 5432},
    "server_tls_mode": {
        "type": "str",
        "choices": ["disable", "prefer", "require", "verify-ca", "verify-full"],
        "default": "verify-full",
    },
    "server_tls_ca": {"type": "path"},
    "tls_certificate": {"type": "path"},
    "tls_key": {"type": "path", "no_log": False},
    "auth_user": {"type": "str", "default": "dbops_pooler"},
    "auth_password": {"type": "str", "required": True, "no_log": True},
    "max_client_conn": {"type": "int", "default": 100},
    "pool_size": {"type": "int", "default": 5},
    "reserve_pool_size": {"type": "int", "default": 0},
    "max_connections": {"type": "int", "default": 100},
    "superuser_reserved": {"type": "int", "default": 3},
    "direct": {"type": "dict", "default": {}},
    "settings": {"type": "dict", "default": {}},
    "restart": {"type": "str", "choices": ["when_idle", "when_required", "rolling", "never"], "default": "when_idle"},
    "restart_wait": {"type": "int", "default": 60},
    "processes": {"type": "int", "default": 1},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)

    def run(arguments: Sequence[str]) -> tuple[int, str, str]:
        status, out, err = module.run_command(list(arguments), cwd="/")
        return int(status), str(out), str(err)

    try:
        spec = parse(module.params)
        observed = observe(run)
        if observed.version is None and not module.check_mode:
            raise DbopsError("pgbouncer is not installed on this host.", "Install the package pgbouncer.")
        wanted = plan(spec, observed)
        if not module.check_mode or os.path.exists(spec.tls_certificate):
            refuse_bad_certificates(spec)
        if wanted.changed and observed.version is not None and os.path.exists(spec.tls_certificate or "/"):
            refuse_what_is_not_taken(spec, observed)
        if wanted.changed and not module.check_mode:
            apply(spec, observed, wanted, run)
    except DbopsError as error:
        module.fail_json(msg=str(error))
    pending = list(wanted.why) if wanted.waits else []
    if pending:
        module.warn(f"A restart of {UNIT} is pending for: {', '.join(pending)}")
    module.exit_json(
        changed=wanted.changed,
        actions=wanted.actions(),
        diff=wanted.diff(),
        pending_restart=pending,
        budget={
            "max_connections": spec.budget.max_connections,
            "taken": spec.budget.taken,
            "shares": [asdict(share) for share in spec.budget.shares],
        },
    )


if __name__ == "__main__":
    main()
