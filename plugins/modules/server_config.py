#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: server_config
short_description: Configure one PostgreSQL cluster as a whole
version_added: 0.1.0
author: the dbops.postgres authors (@dbops)
description:
  - Renders C(conf.d/10-dbops.conf), C(pg_hba.conf), C(pg_ident.conf) and the drop-in of the cluster's systemd unit
    from one declaration, proves them, and makes them live by a reload, or by exactly one restart if a setting needs it.
  - The old state stays whole until the new one is proven. PostgreSQL itself reads the new settings (C(postgres -C))
    before any file is replaced; the running server reads the new files (C(pg_file_settings), C(pg_hba_file_rules))
    before it uses them; a server that does not come back is started again with the previous files.
  - The module is the heart of the role C(dbops.postgres.server), which documents each option as a variable C(server_*).
  - It runs as root on the host of the cluster and connects over the local socket as C(postgres).
requirements:
  - psycopg2 on the host, once the cluster exists
  - a cluster in Debian's layout (postgresql-common)
attributes:
  check_mode:
    description: The same plan as the real run; PostgreSQL judges the new settings in check mode as well.
    support: full
  diff_mode:
    description: A difference for each file, and the actions.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
options:
  version:
    description: Major version of PostgreSQL.
    type: int
    required: true
  cluster:
    description: Name of the cluster.
    type: str
    default: main
  port:
    description: TCP port, and part of the socket's name.
    type: int
    default: 5432
  environment:
    description:
      - The environment this cluster belongs to. It becomes the part of C(cluster_name) after the C(@), which every
        session can read and no session can set.
    type: str
    required: true
  listen_addresses:
    description: Addresses to listen on besides V(localhost).
    type: list
    elements: str
    default: []
  allow_any_address:
    description:
      - Has to be V(the whole internet may try to log in) to listen everywhere or to admit networks like 0.0.0.0/0.
    type: str
    default: ''
  allow_all_keyword:
    description: Whether a rule of O(access_rules) may say V(all) instead of names.
    type: bool
    default: false
  max_connections:
    description: Number of connections.
    type: int
    default: 100
  workload:
    description: What the tuning is for.
    type: str
    choices: [oltp, mixed, analytics]
    default: oltp
  storage:
    description: What the data directory lies on.
    type: str
    choices: [ssd, nvme, hdd]
    default: ssd
  memory_mb:
    description: Memory for PostgreSQL in MiB. Observed (host, or its control group's limit) when left out.
    type: int
  cores:
    description: Processors for PostgreSQL. Observed when left out.
    type: int
  tls:
    description: Certificate and key of the server.
    type: dict
    required: true
    suboptions:
      certificate:
        description: Path of the certificate (chain) on the host.
        type: path
        required: true
      key:
        description: Path of its private key on the host.
        type: path
        required: true
      ca:
        description: Path of the certificate authority that client certificates are verified with.
        type: path
      min_version:
        description: Oldest version of the protocol that is accepted.
        type: str
        choices: [TLSv1.2, TLSv1.3]
        default: TLSv1.3
  access_rules:
    description: Who may connect over the network. Each becomes C(hostssl) lines with SCRAM; nobody else gets in.
    type: list
    elements: dict
    default: []
    suboptions:
      databases:
        description: Names of databases.
        type: list
        elements: str
        required: true
      users:
        description: Names of roles; C(+name) for the members of a role.
        type: list
        elements: str
        required: true
      addresses:
        description: Networks in CIDR form.
        type: list
        elements: str
        required: true
  replication_rules:
    description: Who may replicate.
    type: list
    elements: dict
    default: []
    suboptions:
      users:
        description: Names of roles.
        type: list
        elements: str
        required: true
      addresses:
        description: Networks in CIDR form.
        type: list
        elements: str
        required: true
  local_method:
    description: How roles other than V(postgres) authenticate over the local socket.
    type: str
    choices: [peer, scram-sha-256]
    default: peer
  socket_permissions:
    description: Permissions of the socket.
    type: str
    default: '0770'
  log_directory:
    description: Where the log files are.
    type: path
    default: /var/log/postgresql
  log_file_mode:
    description: Their permissions.
    type: str
    default: '0600'
  log_min_duration_ms:
    description: Statements that take longer are logged; V(-1) for none.
    type: int
    default: 500
  log_statement:
    description: Statements that PostgreSQL itself logs, passwords included.
    type: str
    choices: [none, ddl, mod, all]
    default: none
  pgaudit_log:
    description: Classes of statements that pgaudit records.
    type: str
    default: ddl, role
  preload_libraries:
    description: Further libraries to load at start.
    type: list
    elements: str
    default: []
  extensions:
    description: Extensions to create, by database, as lists of names.
    type: dict
    default: {}
  settings:
    description: Any further settings, by name.
    type: dict
    default: {}
  data_mount:
    description: Mount point of the volume of the data directory; the unit then refuses to start without it.
    type: path
  write_paths:
    description: Further paths that the server writes to. Data directory, tablespaces and logs are known.
    type: list
    elements: path
    default: []
  checksums:
    description:
      - What to do about a cluster without data checksums. V(enable) turns them on with the server stopped, which takes
        as long as reading and writing all of it.
    type: str
    choices: [warn, require, enable, ignore]
    default: warn
  restart:
    description: V(never) reports in RV(pending_restart) what waits for a restart.
    type: str
    choices: [when_required, never]
    default: when_required
  start_timeout:
    description: Seconds to wait for the server to come back, crash recovery included.
    type: int
    default: 300
seealso:
  - module: community.postgresql.postgresql_pg_hba
"""

EXAMPLES = r"""
- name: One network, one service
  dbops.postgres.server_config:
    version: 17
    environment: prod
    listen_addresses: [10.20.0.5]
    tls:
      certificate: /etc/dbops-postgres/tls/server.crt
      key: /etc/dbops-postgres/tls/server.key
    access_rules:
      - databases: [payments_db]
        users: [payments_prod_app, payments_prod_migrator]
        addresses: [10.20.0.0/24]
"""

RETURN = r"""
actions:
  description: What was done, or would be done, in order.
  type: list
  elements: str
  returned: always
  sample: [write /etc/postgresql/17/main/conf.d/10-dbops.conf, reload, 'restart: shared_buffers']
pending_restart:
  description: Settings, or other parts, that wait for a restart because O(restart=never).
  type: list
  elements: str
  returned: always
  sample: [shared_buffers]
restarted:
  description: Whether the server was, or would be, restarted. Its first start is none.
  type: bool
  returned: always
  sample: false
settings:
  description: All settings that were rendered, with the reason of each.
  type: list
  elements: dict
  returned: always
  sample: [{name: shared_buffers, value: 1024MB, reason: a quarter of 4096 MB memory (manual 19.4.1)}]
"""

import os
from collections.abc import Sequence
from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import HAS_PSYCOPG2
from ansible_collections.dbops.postgres.plugins.module_utils._server import apply as _apply
from ansible_collections.dbops.postgres.plugins.module_utils._server import observe as _observe
from ansible_collections.dbops.postgres.plugins.module_utils._server import plan as _plan
from ansible_collections.dbops.postgres.plugins.module_utils._server import spec as _spec
from ansible_collections.dbops.postgres.plugins.module_utils._server.state import managed

_NAMES = {"type": "list", "elements": "str", "required": True}

ARGUMENTS = {
    "version": {"type": "int", "required": True},
    "cluster": {"type": "str", "default": "main"},
    "port": {"type": "int", "default": 5432},
    "environment": {"type": "str", "required": True},
    "listen_addresses": {"type": "list", "elements": "str", "default": []},
    "allow_any_address": {"type": "str", "default": ""},
    "allow_all_keyword": {"type": "bool", "default": False},
    "max_connections": {"type": "int", "default": 100},
    "workload": {"type": "str", "choices": ["oltp", "mixed", "analytics"], "default": "oltp"},
    "storage": {"type": "str", "choices": ["ssd", "nvme", "hdd"], "default": "ssd"},
    "memory_mb": {"type": "int"},
    "cores": {"type": "int"},
    "tls": {
        "type": "dict",
        "required": True,
        "options": {
            "certificate": {"type": "path", "required": True},
            "key": {"type": "path", "required": True, "no_log": False},
            "ca": {"type": "path"},
            "min_version": {"type": "str", "choices": ["TLSv1.2", "TLSv1.3"], "default": "TLSv1.3"},
        },
    },
    "access_rules": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"databases": _NAMES, "users": _NAMES, "addresses": _NAMES},
    },
    "replication_rules": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"users": _NAMES, "addresses": _NAMES},
    },
    "local_method": {"type": "str", "choices": ["peer", "scram-sha-256"], "default": "peer"},
    "socket_permissions": {"type": "str", "default": "0770"},
    "log_directory": {"type": "path", "default": "/var/log/postgresql"},
    "log_file_mode": {"type": "str", "default": "0600"},
    "log_min_duration_ms": {"type": "int", "default": 500},
    "log_statement": {"type": "str", "choices": ["none", "ddl", "mod", "all"], "default": "none"},
    "pgaudit_log": {"type": "str", "default": "ddl, role"},
    "preload_libraries": {"type": "list", "elements": "str", "default": []},
    "extensions": {"type": "dict", "default": {}},
    "settings": {"type": "dict", "default": {}},
    "data_mount": {"type": "path"},
    "write_paths": {"type": "list", "elements": "path", "default": []},
    "checksums": {"type": "str", "choices": ["warn", "require", "enable", "ignore"], "default": "warn"},
    "restart": {"type": "str", "choices": ["when_required", "never"], "default": "when_required"},
    "start_timeout": {"type": "int", "default": 300},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)

    def run(arguments: Sequence[str]) -> tuple[int, str, str]:
        status, out, err = module.run_command(list(arguments), cwd="/")
        return int(status), str(out), str(err)

    try:
        spec = _spec.parse(module.params)
        if os.geteuid() != 0:
            raise DbopsError("This module needs root.", "Use become: true.")
        observed = _observe.observe(spec, run, blind=module.check_mode and not HAS_PSYCOPG2)
        if not observed.exists and not module.check_mode:
            raise DbopsError(f"Cluster {spec.version}/{spec.cluster} does not exist.", "Run pg_createcluster.")
        texts = _plan.texts(spec, observed)
        conf = managed(spec)[0]
        proposed = {}
        if observed.exists and (conf not in observed.files or observed.files[conf].text != texts[conf]):
            proposed = _observe.propose(spec, texts[conf], _plan.restart_candidates(spec, observed), run)
        plan = _plan.plan(spec, observed, proposed)
        pending = () if plan.restart_allowed else plan.restart
        if plan.changed and not module.check_mode:
            _observe.refuse_missing_libraries(spec)
            pending = _apply.apply(spec, observed, plan, run, module.backup_local)
    except DbopsError as error:
        module.fail_json(msg=str(error))
    for warning in plan.warnings:
        module.warn(warning)
    if pending:
        module.warn(f"A restart of {spec.unit} is pending for: {', '.join(pending)}")
    module.exit_json(
        changed=plan.changed,
        actions=plan.actions(),
        diff=plan.diff(),
        pending_restart=list(pending),
        restarted=plan.restarts,
        settings=[asdict(setting) for setting in _plan.settings_of(spec, observed)],
    )


if __name__ == "__main__":
    main()
