#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_migrate
short_description: Migrate a database, proven on a copy first, with a way back
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Runs the pending migrations of a folder in the layout of Prisma, Flyway, golang-migrate or plain SQL files, or a
    command that migrates a given connection URL.
  - "Stages: guard, lint, drift, backup, rehearsal, drain, apply, verify, record. Until C(apply) nothing is changed."
  - The rehearsal runs the migrations on a copy that is restored from the set of backups just made, statement by
    statement, with times, locks, rewritten tables and rows. What takes a migration back is tried there too.
  - What was applied is read from the tool's own table and written to it as the tool does. A plain folder has the table
    C(dbops.migration_history).
  - If a migration or the proof afterwards fails, the way back is what PostgreSQL rolled back, then the C(down) files
    that the rehearsal has proven, then the set of backups, restored beside the database and put in its place. The
    database that was there is kept.
  - A run that was killed is continued by the next, or taken back by O(interrupted=back).
  - Runs as root on the host of PostgreSQL, on which the role C(dbops.postgres.backup) was run before. The playbook
    C(dbops.postgres.migrate) brings the files there and lints them.
requirements:
  - psycopg2 and, for buckets, boto3 on the host
options:
  database:
    description: The database.
    type: str
    required: true
  path:
    description: Folder of the migrations, on the host. Not for O(layout=command).
    type: path
  layout:
    description: How the files are laid out. V(auto) tells by their names.
    type: str
    choices: [auto, prisma, flyway, golang-migrate, plain, command]
    default: auto
  command:
    description:
      - For O(layout=command). The command that migrates, as a list. It runs as the user C(postgres) and finds the
        connection URL in C(DATABASE_URL), first that of the copy, then that of the database.
    type: list
    elements: str
    default: []
  command_directory:
    description: Directory in which the command runs.
    type: path
  database_url:
    description: The connection URL for the command. By default the local socket, as C(postgres).
    type: str
  role:
    description: Role under which the migrations run and which owns what they create. By default the database's owner.
    type: str
    default: ""
  history_table:
    description: The tool's table, C(schema.name), where it is not in its usual place.
    type: str
    default: ""
  environment:
    description: What the server must say it is in C(cluster_name), for example V(prod). By default any.
    type: str
    default: ""
  lint:
    description:
      - What M(dbops.postgres.migration_lint_check) returned. Contract steps that it left to the live database are
        judged here. Without it the stage says that it was not asked.
    type: dict
  expected_schema:
    description: File with a snapshot of the schema, on the host. The live schema must equal it before.
    type: path
  label:
    description: The end of the set's name. By default C(migrate-) and the database.
    type: str
    default: ""
  without_backup:
    description:
      - The words V(I have another way back) migrate a database of which the host makes no backups. A copy for the
        rehearsal is made all the same.
    type: str
    default: ""
  long_transaction_seconds:
    description: A transaction that is open for longer refuses the run.
    type: float
    default: 60
  lock_timeout:
    description: Seconds to wait for a lock in one attempt. Others queue behind it meanwhile.
    type: float
    default: 0.5
  statement_timeout:
    description: Seconds for a statement.
    type: float
    default: 600
  concurrently_timeout:
    description: Seconds for a statement outside a transaction, such as C(CREATE INDEX CONCURRENTLY).
    type: float
    default: 14400
  attempts:
    description: How often a transaction is tried that did not get its locks.
    type: int
    default: 20
  backoff:
    description: Seconds between the first two attempts. They double, up to ten seconds.
    type: float
    default: 1
  lock_limits:
    description:
      - Seconds for which the rehearsal may hold a lock, by mode. The defaults are 10 for C(AccessExclusiveLock) and 30
        for C(ExclusiveLock), C(ShareRowExclusiveLock) and C(ShareLock).
    type: dict
    default: {}
  drain_after:
    description: Seconds of a blocking lock in the rehearsal; from there on C(/run/dbops-postgres/drain) is set.
    type: float
    default: 1
  smoke:
    description: Queries that must answer one expected value afterwards, on the copy and on the database.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: How it is called in messages.
        type: str
        required: true
      query:
        description: The query. It runs read-only.
        type: str
        required: true
      expect:
        description: The one value, as text.
        type: str
        required: true
  plans:
    description: Queries whose estimated cost must not become worse.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: How it is called in messages.
        type: str
        required: true
      query:
        description: The query. It is only planned.
        type: str
        required: true
  plan_factor:
    description: How many times the cost before it may be.
    type: float
    default: 1.5
  query_timeout:
    description: Seconds for a query of O(smoke) and O(plans).
    type: float
    default: 30
  way_back:
    description: What may be tried after a failure, besides PostgreSQL's own rollback.
    type: list
    elements: str
    choices: [down, restore]
    default: [down, restore]
  interrupted:
    description: What is done about a run that was interrupted while it changed the database.
    type: str
    choices: [continue, back]
    default: continue
  contract_after_days:
    description: How many days an expand must have been live before the step that ends it.
    type: int
    default: 7
  backup_config:
    description: The configuration of backups.
    type: path
    default: /etc/dbops-postgres/backup.json
  drill_config:
    description: The configuration of drills, for the directory of the copy. It may be missing.
    type: path
    default: /etc/dbops-postgres/drill.json
  login_unix_socket:
    description: Directory of the server's socket.
    type: path
    default: /var/run/postgresql
  login_port:
    description: Its port.
    type: int
    default: 5432
  who:
    description: Who asked for it, for the record. By default who became root.
    type: str
    default: ""
  evidence:
    description: Leave the outcome for the readiness report.
    type: bool
    default: true
notes:
  - A restore takes the database back to the moment of the set. Rows that were written since are in the database that is
    kept, and only there. While it takes its place, the clients of a pgbouncer on this host wait; where there is none,
    which is told, all sessions of the database are ended.
  - Each stage is a line in the journal as it ends.
  - A run goes on to its end when its controller is gone. Told to stop by SIGTERM, it ends the copy and the drain file,
    leaves its record, and is continued by the next run.
attributes:
  check_mode:
    support: full
    details:
      - Makes every stage until the rehearsal. The copy comes from a dump that is made for it and removed with it; no
        set and no record is left.
  diff_mode:
    support: none
  idempotent:
    support: full
extends_documentation_fragment:
  - dbops.postgres.attributes
seealso:
  - module: dbops.postgres.migration_lint_check
  - module: dbops.postgres.pg_schema_drift_check
  - module: dbops.postgres.pg_backup
"""

EXAMPLES = r"""
- name: Migrate, or leave everything as it was
  dbops.postgres.pg_migrate:
    database: payments_db
    path: /root/payments/migrations
    environment: prod
    smoke:
      - name: payments can be read
        query: SELECT count(*) > 0 FROM payments
        expect: "true"

- name: Let Alembic migrate
  dbops.postgres.pg_migrate:
    database: payments_db
    layout: command
    command: [/opt/payments/venv/bin/alembic, upgrade, head]
    command_directory: /opt/payments
"""

RETURN = r"""
verdict:
  description:
    - V(migrated), V(nothing to do), V(rehearsed) in check mode, V(as before), or V(not as before), where somebody has
      to look.
  returned: always
  type: str
  sample: migrated
summary:
  description: How it ended, in words.
  returned: always
  type: str
  sample: "Migrated and verified: 2 migration(s)."
failed_stage:
  description: The stage that failed. Empty if none did.
  returned: always
  type: str
  sample: ""
exit_status:
  description: 0, or 10 and the number of the stage that failed; 11 is the guard, 17 C(apply), 18 C(verify).
  returned: always
  type: int
  sample: 0
way_back:
  description: V(rollback), V(down), V(restore), V(none); empty if none was needed.
  returned: always
  type: str
  sample: ""
kept:
  description: What the database that a restore has replaced is called now.
  returned: always
  type: str
  sample: ""
set:
  description: The set of backups that was made before.
  returned: always
  type: str
  sample: 20261125T210000Z-migrate-payments-db
stages:
  description: Every stage with its time, what was seen and what did not hold.
  returned: always
  type: list
  elements: dict
  sample: [{name: guard, status: passed, seconds: 0.1, detail: 2 pending, problems: []}]
migrations:
  description: The pending migrations, and whether each can be taken back by its file.
  returned: always
  type: list
  elements: dict
  sample: [{id: 002_phone, path: 002_phone.sql, down: proven}]
statements:
  description: The rehearsal, statement by statement.
  returned: always
  type: list
  elements: dict
  sample:
    - file: 002_phone.sql
      line: 1
      statement: ALTER TABLE customers ADD COLUMN phone text
      seconds: 0.002
      rows: -1
      locks: [[AccessExclusiveLock, public.customers]]
      rewritten: []
path:
  description: The record on the host. Beside it is the same for a person, C(.md). Empty in check mode.
  returned: always
  type: str
  sample: /var/lib/dbops-postgres/migrations/20261125T210000Z-payments_db.json
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._host_program.migrate import hold
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

_QUERY: dict[str, Any] = {"name": {"type": "str", "required": True}, "query": {"type": "str", "required": True}}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "database": {"type": "str", "required": True},
            "path": {"type": "path"},
            "layout": {
                "type": "str",
                "choices": ["auto", "prisma", "flyway", "golang-migrate", "plain", "command"],
                "default": "auto",
            },
            "command": {"type": "list", "elements": "str", "default": []},
            "command_directory": {"type": "path"},
            "database_url": {"type": "str", "no_log": True},
            "role": {"type": "str", "default": ""},
            "history_table": {"type": "str", "default": ""},
            "environment": {"type": "str", "default": ""},
            "lint": {"type": "dict"},
            "expected_schema": {"type": "path"},
            "label": {"type": "str", "default": ""},
            "without_backup": {"type": "str", "default": ""},
            "long_transaction_seconds": {"type": "float", "default": 60},
            "lock_timeout": {"type": "float", "default": 0.5},
            "statement_timeout": {"type": "float", "default": 600},
            "concurrently_timeout": {"type": "float", "default": 14400},
            "attempts": {"type": "int", "default": 20},
            "backoff": {"type": "float", "default": 1},
            "lock_limits": {"type": "dict", "default": {}},
            "drain_after": {"type": "float", "default": 1},
            "smoke": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {**_QUERY, "expect": {"type": "str", "required": True}},
            },
            "plans": {"type": "list", "elements": "dict", "default": [], "options": _QUERY},
            "plan_factor": {"type": "float", "default": 1.5},
            "query_timeout": {"type": "float", "default": 30},
            "way_back": {
                "type": "list",
                "elements": "str",
                "choices": ["down", "restore"],
                "default": ["down", "restore"],
            },
            "interrupted": {"type": "str", "choices": ["continue", "back"], "default": "continue"},
            "contract_after_days": {"type": "int", "default": 7},
            "backup_config": {"type": "path", "default": "/etc/dbops-postgres/backup.json"},
            "drill_config": {"type": "path", "default": "/etc/dbops-postgres/drill.json"},
            "login_unix_socket": {"type": "path", "default": "/var/run/postgresql"},
            "login_port": {"type": "int", "default": 5432},
            "who": {"type": "str", "default": ""},
            "evidence": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    try:
        found, path = hold(
            module.params,
            check=module.check_mode,
            tell=module.log,
            database_url=module.params["database_url"] or "",
        )
    except DbopsError as error:
        module.fail_json(msg=str(error))
    facts = {
        "verdict": found.verdict,
        "summary": found.words,
        "failed_stage": found.failed_stage,
        "exit_status": found.exit_status,
        "way_back": found.way_back,
        "kept": found.kept,
        "set": found.set,
        "stages": [asdict(stage) for stage in found.stages],
        "migrations": found.migrations,
        "statements": found.statements,
        "path": path,
    }
    if not found.passed:
        module.fail_json(msg=found.words, **facts)
    # In check mode: whether there is anything to apply.
    module.exit_json(changed=found.verdict in ("migrated", "rehearsed"), **facts)


if __name__ == "__main__":
    main()
