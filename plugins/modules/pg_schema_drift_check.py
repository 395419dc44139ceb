#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_schema_drift_check
short_description: Compare the live schema with the expected one, over the whole catalog
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Compares the schema of a live database, object by object, with exactly one of what its migrations make
    (O(migrations), O(command)), a committed file (O(snapshot)), and another live database (O(against)).
  - Sees schemas, tables, columns, constraints, indexes, views, sequences, functions, triggers, event triggers, types,
    extensions, row-level security and policies, rules, grants, default privileges, owners, comments, partitions,
    publications, statistics objects, foreign servers, and more. The values of user mappings and of options that look
    like a secret are never read into a snapshot.
  - Says for each difference what brings the live schema to the expected one, as SQL where that is safe to say. It
    never runs any of it, and no statement drops data.
  - The live database is read in one read-only transaction, with the same number of queries whatever it holds.
extends_documentation_fragment:
  - dbops.postgres.attributes
  - dbops.postgres.attributes.action_group
  - dbops.postgres.login
attributes:
  check_mode:
    support: full
    details:
      - The same as the real run, except that O(junit) and the record of O(evidence) are not written. A throwaway
        database is made and dropped in both.
  diff_mode:
    support: none
    details:
      - There is nothing to show.
  idempotent:
    support: full
    details:
      - Nothing changes, except the file O(junit) and the record of O(evidence).
options:
  migrations:
    description:
      - Apply the migrations of a folder to a throwaway database, and compare with that. The database is made on the
        server of the login, or of O(scratch), and dropped whatever happens. The role needs C(CREATEDB).
      - Without O(scratch), migrations that reach outside of their database (C(CREATE ROLE), C(ALTER SYSTEM) and the
        like) are refused.
    type: dict
    suboptions:
      path:
        description: The folder, on the host that runs the module.
        type: path
        required: true
      layout:
        description: Its layout. V(auto) finds out.
        type: str
        choices: [auto, prisma, flyway, golang-migrate, plain]
        default: auto
      role:
        description: The role that owns the throwaway database and runs the migrations. By default that of the login.
        type: str
        default: ''
      search_path:
        description: The C(search_path) under which they run.
        type: str
        default: '"$user", public'
  command:
    description:
      - A command that migrates the database of the URL in the environment variable E(DATABASE_URL), for example
        C([npx, prisma, migrate, deploy]). It is run, without a shell, on the host that runs the module, against a
        throwaway database as with O(migrations). The URL is in no argument.
    type: list
    elements: str
  command_chdir:
    description: The directory in which O(command) runs.
    type: path
  snapshot:
    description: Compare with this file of M(dbops.postgres.pg_schema_snapshot), on the host that runs the module.
    type: path
  against:
    description: Compare with this live database, stage with production for example.
    type: dict
    suboptions: &login
      login_host:
        description: As O(login_host).
        type: str
        default: ''
      login_unix_socket:
        description: As O(login_unix_socket).
        type: str
        default: ''
      login_port:
        description: As O(login_port).
        type: int
        default: 5432
      login_user:
        description: As O(login_user).
        type: str
        default: postgres
      login_password:
        description: As O(login_password).
        type: str
        default: ''
      login_db:
        description: The database.
        type: str
        default: postgres
      ssl_mode:
        description: As O(ssl_mode).
        type: str
        default: prefer
        choices: [allow, disable, prefer, require, verify-ca, verify-full]
      ca_cert:
        description: As O(ca_cert).
        type: path
  scratch:
    description: The server for throwaway databases. By default that of the login.
    type: dict
    suboptions: *login
  ignore:
    description:
      - What is left out, as C(kind:name) with shell patterns, for example V(table:shop.tmp_*), V(*:audit.*),
        V(default_privileges:*). With a table goes what belongs to it. A rule that matches nothing is told.
      - Always left out are members of extensions, the tables in which migration tools remember what they have applied,
        and what this collection itself puts into databases.
    type: list
    elements: str
    default: []
  ignore_fields:
    description:
      - Fields that do not count, for example V(owner) and V(grants) where access is not made by migrations.
    type: list
    elements: str
    default: []
  ignore_partitions_of:
    description: Tables whose partitions do not count, as shell patterns, for example V(shop.events).
    type: list
    elements: str
    default: []
  role_map:
    description:
      - "Names of roles on the one side and what they are on the other, for example
        C({aria_stage_*: aria_prod_*}). A C(*) in both stands for the same text. Applied to owners, grants, policies,
        default privileges and user mappings of both sides."
    type: dict
    default: {}
  statement_timeout:
    description: How long each query of the catalog may take, in seconds.
    type: int
    default: 60
  migrate_timeout:
    description: How long each migration, or O(command), may take, in seconds.
    type: int
    default: 600
  fail_on:
    description:
      - The task fails when an object of this severity or a worse one differs. Critical is what opens data to somebody
        (a policy, row-level security, a grant to PUBLIC, a function with its owner's rights); medium is what does not
        change what a database holds (comments, storage parameters).
    type: str
    choices: [never, critical, high, medium]
    default: medium
  junit:
    description: Write the findings as JUnit XML to this file on the host that runs the module.
    type: path
  evidence:
    description: Leave the record of this check on the host, for the readiness report.
    type: bool
    default: false
requirements:
  - PostgreSQL 15 or later
seealso:
  - module: dbops.postgres.pg_schema_snapshot
"""

EXAMPLES = r"""
- name: The live schema is what the migrations make
  dbops.postgres.pg_schema_drift_check:
    login_db: payments_db
    migrations: {path: /srv/payments/prisma/migrations}
    ignore_fields: [owner, grants]
  become: true

- name: The live schema is the committed one
  dbops.postgres.pg_schema_drift_check:
    login_db: payments_db
    snapshot: /etc/dbops-postgres/schema/payments_db.json
    evidence: true
  become: true

- name: Stage equals production
  dbops.postgres.pg_schema_drift_check:
    login_host: stage.example.com
    login_user: auditor
    login_password: "{{ vault_stage_password }}"
    login_db: payments_db
    ssl_mode: verify-full
    against:
      login_host: prod.example.com
      login_user: auditor
      login_password: "{{ vault_prod_password }}"
      login_db: payments_db
      ssl_mode: verify-full
    role_map: {"payments_stage_*": "payments_prod_*"}
    fail_on: never
  delegate_to: localhost
"""

RETURN = r"""
findings:
  description: A finding for each object that differs, the worst first; one that passed when none does.
  returned: when both schemas could be looked at
  type: list
  elements: dict
  sample:
    - control: E-2
      subject: index shop.orders_customer
      severity: high
      status: fail
      evidence: missing
      remedy: CREATE INDEX CONCURRENTLY orders_customer ON shop.orders USING btree (customer);
passed:
  description: Whether the schema is as expected.
  returned: when both schemas could be looked at
  type: bool
  sample: false
summary:
  description: How many findings there are of each status.
  returned: when both schemas could be looked at
  type: dict
  sample: {fail: 1, error: 0, not_tested: 0, waived: 0, pass: 0, not_applicable: 0}
differences:
  description: The objects that differ, with their fields as expected and as they are.
  returned: when both schemas could be looked at
  type: list
  elements: dict
  sample:
    - kind: column
      name: shop.orders.price
      what: changed
      changes: [{field: default, expected: "0", actual: "1"}]
readable:
  description: The same for a person, a line for each object and field.
  returned: when both schemas could be looked at
  type: list
  elements: str
  sample: ["index shop.orders_customer: missing"]
statements:
  description: What brings the live schema to the expected one, as lines of SQL with comments. None of it was run.
  returned: when both schemas could be looked at
  type: list
  elements: str
  sample:
    - "-- index shop.orders_customer: missing"
    - "CREATE INDEX CONCURRENTLY orders_customer ON shop.orders USING btree (customer);"
notes:
  description: What is worth knowing and no drift, for example the same columns in another order.
  returned: when both schemas could be looked at
  type: list
  elements: str
  sample: ["table shop.orders: the same columns in another order: id, note, price"]
unused_ignores:
  description: Rules of O(ignore) and O(ignore_partitions_of) that matched nothing on either side.
  returned: when both schemas could be looked at
  type: list
  elements: str
  sample: ["table:shop.tpm_*"]
objects:
  description: How many objects the live schema has.
  returned: when both schemas could be looked at
  type: int
  sample: 412
"""

import signal
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._checked import finish, unseen
from ansible_collections.dbops.postgres.plugins.module_utils._findings import FAIL_ON, Control, Severity
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source_read import read_source
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import LOGIN_ARGUMENTS, login_from
from ansible_collections.dbops.postgres.plugins.module_utils._schema import judge, look
from ansible_collections.dbops.postgres.plugins.module_utils._schema.compare import compare, readable
from ansible_collections.dbops.postgres.plugins.module_utils._schema.ignore import ignore_from
from ansible_collections.dbops.postgres.plugins.module_utils._schema.snapshot import Snapshot

_NAMES: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
_LOGIN: dict[str, Any] = {
    "type": "dict",
    "options": {
        name: {key: value for key, value in options.items() if key != "aliases"}
        for name, options in LOGIN_ARGUMENTS.items()
    },
}

ARGUMENTS: dict[str, Any] = {
    **LOGIN_ARGUMENTS,
    "migrations": {
        "type": "dict",
        "options": {
            "path": {"type": "path", "required": True},
            "layout": {
                "type": "str",
                "choices": ["auto", "prisma", "flyway", "golang-migrate", "plain"],
                "default": "auto",
            },
            "role": {"type": "str", "default": ""},
            "search_path": {"type": "str", "default": look.SEARCH_PATH},
        },
    },
    "command": {"type": "list", "elements": "str"},
    "command_chdir": {"type": "path"},
    "snapshot": {"type": "path"},
    "against": _LOGIN,
    "scratch": _LOGIN,
    "ignore": _NAMES,
    "ignore_fields": _NAMES,
    "ignore_partitions_of": _NAMES,
    "role_map": {"type": "dict", "default": {}},
    "statement_timeout": {"type": "int", "default": 60},
    "migrate_timeout": {"type": "int", "default": 600},
    "fail_on": {"type": "str", "choices": list(FAIL_ON), "default": "medium"},
    "junit": {"type": "path"},
    "evidence": {"type": "bool", "default": False},
}
SOURCES = ("migrations", "command", "snapshot", "against")


def expected(params: dict[str, Any]) -> Snapshot:
    """The schema as it should be, from the one source that is given."""
    timeout = params["statement_timeout"]
    if params["snapshot"]:
        return look.from_file(params["snapshot"])
    if params["against"]:
        return look.observed(login_from(params["against"]), timeout=timeout)
    login = login_from(params["scratch"] or params)
    source = params["migrations"]
    if not source:
        with look.throwaway(login) as made:
            look.run_command(made, params["command"], params["command_chdir"], params["migrate_timeout"])
            return look.observed(made, timeout=timeout)
    files = [(item.path, item.sql) for item in read_source(source["path"], source["layout"]).migrations]
    if not params["scratch"]:
        look.refuse_outside(files)
    with look.throwaway(login, source["role"]) as made:
        look.apply_files(made, files, source["role"], source["search_path"], params["migrate_timeout"])
        return look.observed(made, timeout=timeout)


def _stopped(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        mutually_exclusive=[SOURCES],
        required_one_of=[SOURCES],
        required_by={"command_chdir": ("command",)},
        supports_check_mode=True,
    )
    params = module.params
    for number in (signal.SIGTERM, signal.SIGHUP):  # a throwaway database goes even then
        signal.signal(number, _stopped)
    database = params["login_db"]
    try:
        ignore = ignore_from(params["ignore"], params["ignore_fields"], params["ignore_partitions_of"])
        wanted = expected(params)
        live = look.observed(login_from(params), timeout=params["statement_timeout"])
    except DbopsError as error:
        unseen(module, judge.CHECK, database, [judge.CONTROL], error)
    found = compare(wanted, live, ignore, params["role_map"])
    findings = judge.findings(found, live.count())
    for pattern in found.unused_ignores:
        module.warn(f"The ignore rule {pattern} matched nothing.")
    finish(
        module,
        judge.CHECK,
        database,
        [Control(judge.CONTROL, "Schema drift", Severity.CRITICAL)],
        findings,
        said=judge.summary(found),
        failure=judge.message(found, findings),
        facts=judge.facts(found, live.count()),
        differences=[item.as_dict() for item in found.differences],
        readable=readable(found),
        statements=judge.script(found),
        notes=list(found.notes),
        unused_ignores=list(found.unused_ignores),
        objects=live.count(),
    )


if __name__ == "__main__":
    main()
