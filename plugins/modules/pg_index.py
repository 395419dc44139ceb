#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_index
short_description: Build required indexes without locking out writers
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Makes sure that the required indexes of a database are there and valid. They are compared by definition, never by
    name; one that does the same work satisfies, as for M(dbops.postgres.pg_index_check).
  - What is missing is built with C(CREATE INDEX CONCURRENTLY). On a partitioned table the index is made on the table
    alone, built on each partition and attached.
  - Indexes that a failed C(CONCURRENTLY) has left invalid are found and mended; what a statement of this module has
    begun when it failed is removed at once, or, while an open transaction holds that up, by the next run.
  - Never drops a valid index that O(drop) does not name.
extends_documentation_fragment:
  - dbops.postgres.attributes
  - dbops.postgres.attributes.action_group
  - dbops.postgres.login
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  required:
    description:
      - Indexes that must be there, as in the section C(indexes) of the spec file.
      - A required index whose work another required one does is not built by itself.
    type: list
    elements: dict
    default: []
    suboptions:
      table:
        description:
          - The table as C(schema.table), or its name alone in the schema C(public), spelled as in the catalog. Put
            quotes around a name with a dot.
        type: str
        required: true
      columns:
        description:
          - Names of columns in order, or mappings with one of C(column) and C(expression), and C(order) (V(asc),
            V(desc)), C(nulls) (V(first), V(last)), C(opclass), C(collation).
        type: list
        elements: raw
        required: true
      unique:
        description: Whether it must be unique.
        type: bool
        default: false
      nulls_not_distinct:
        description: Whether a unique one counts nulls as equal (PostgreSQL 15 or later).
        type: bool
        default: false
      method:
        description: The index method.
        type: str
        choices: [btree, hash, gin, gist, spgist, brin]
        default: btree
      where:
        description: The predicate of a partial index.
        type: str
      include:
        description: Further columns that are stored and not searched.
        type: list
        elements: str
        default: []
      name:
        description: What to call it when it is built. Without it, a name as PostgreSQL makes it.
        type: str
  spec_file:
    description:
      - The spec file of the database, on the host that runs the module. Its section C(indexes) is added to O(required).
      - Mutually exclusive with O(spec).
    type: path
  spec:
    description:
      - The content of a spec file as data.
      - Mutually exclusive with O(spec_file).
    type: dict
  drop:
    description:
      - Indexes to drop, as C(schema.index). One that is not there is fine.
      - One that belongs to a constraint, and one that a required index needs, is refused.
    type: list
    elements: str
    default: []
  mend:
    description:
      - Whether invalid indexes that are not required are mended too. V(true) drops what a C(REINDEX CONCURRENTLY) has
        left (C(_ccnew), C(_ccold)) and rebuilds all others concurrently.
    type: bool
    default: true
  schemas:
    description: Look into these schemas only. Empty means all but those of the system.
    type: list
    elements: str
    default: []
  lock_timeout:
    description:
      - How long a statement waits for a lock, and for transactions that are older than it.
      - C(CONCURRENTLY) does not make anybody else wait while it waits.
    type: str
    default: 1min
  statement_timeout:
    description: How long one statement may take.
    type: str
    default: 4h
  retries:
    description: So many further tries when a lock was not to be had.
    type: int
    default: 3
  retry_delay:
    description: Seconds before each further try.
    type: int
    default: 10
requirements:
  - PyYAML on the host that runs the module, for O(spec_file)
seealso:
  - module: dbops.postgres.pg_index_check
  - name: Building indexes concurrently
    description: What CREATE INDEX CONCURRENTLY does, and what it leaves when it fails.
    link: https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
notes:
  - The connected role must own the tables.
  - The index of a partitioned table itself is made and dropped without C(CONCURRENTLY), in a moment but with a lock
    that makes writers wait. It is waited for three seconds at most, then tried again (O(retries)).
  - Expressions and predicates that no index has in the same words are compared by building them on an empty temporary
    copy of the table, in a transaction that is rolled back; check mode does this as well.
"""

EXAMPLES = r"""
- name: The indexes of the payments service
  dbops.postgres.pg_index:
    login_db: payments_db
    required:
      - {table: public.Payments, columns: [userId, status, createdAt]}
      - {table: public.Payments, columns: [status]}
      - {table: public.Payments, columns: [createdAt]}
  become: true

- name: Search in transcripts, and only the live ones by their patient
  dbops.postgres.pg_index:
    login_db: aria_db
    required:
      - {table: public.transcripts, columns: [transcript_json], method: gin}
      - {table: public.transcripts, columns: [patient_id], where: deleted_at IS NULL}
    drop: [public.transcripts_old_idx]
  become: true
"""

RETURN = r"""
statements:
  description: The SQL that was executed, or would be, in order.
  returned: success
  type: list
  elements: str
  sample: ['CREATE INDEX CONCURRENTLY "Payments_status_idx" ON "public"."Payments" USING btree ("status")']
diff:
  description: What was and what is, one line for each index.
  returned: success
  type: dict
  contains:
    before:
      description: What was.
      type: str
      sample: ''
    after:
      description: What is.
      type: str
      sample: "index public.Payments_status_idx: (status)\n"
capabilities:
  description: What the connected role can see and do, as M(dbops.postgres.pg_access) returns it.
  returned: success
  type: dict
  sample: {server_version: 170002, user: postgres, superuser: true, pg_authid: true, rds: false, in_recovery: false}
"""

import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._indexes.apply import Patience, converge
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.spec import (
    METHODS,
    parse,
    parse_required,
    qualified,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import LOGIN_ARGUMENTS, login_from
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import (
    SPEC_EXCLUSIVE,
    SpecError,
    database,
    given,
)

NAMES: dict[str, Any] = {"type": "list", "elements": "str", "default": []}

ARGUMENTS = {
    **LOGIN_ARGUMENTS,
    "required": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "table": {"type": "str", "required": True},
            "columns": {"type": "list", "elements": "raw", "required": True},
            "unique": {"type": "bool", "default": False},
            "nulls_not_distinct": {"type": "bool", "default": False},
            "method": {"type": "str", "choices": list(METHODS), "default": "btree"},
            "where": {"type": "str"},
            "include": NAMES,
            "name": {"type": "str"},
        },
    },
    "spec_file": {"type": "path"},
    "spec": {"type": "dict"},
    "drop": NAMES,
    "mend": {"type": "bool", "default": True},
    "schemas": NAMES,
    "lock_timeout": {"type": "str", "default": "1min"},
    "statement_timeout": {"type": "str", "default": "4h"},
    "retries": {"type": "int", "default": 3},
    "retry_delay": {"type": "int", "default": 10},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, mutually_exclusive=SPEC_EXCLUSIVE, supports_check_mode=True)
    params = module.params
    try:
        for option in ("lock_timeout", "statement_timeout"):
            if not re.fullmatch(r"\d+\s*(ms|s|min|h|d)?", params[option]):
                raise DbopsError(f"{option}: {params[option]!r} is no duration", "For example 30s or 5min.")
        for option in ("retries", "retry_delay"):
            if params[option] < 0:
                raise DbopsError(f"{option}: {params[option]} is less than 0")
        file = given(params)
        try:
            wanted = parse(file.section("indexes")).required
        except SpecError as error:
            raise file.located(error) from None
        drop = [qualified(name, ("drop", number)) for number, name in enumerate(params["drop"])]
        outcome = converge(
            login_from(params),
            database(params, file),
            (*wanted, *parse_required(params["required"])),
            drop,
            mend=params["mend"],
            schemas=params["schemas"],
            patience=Patience(
                params["lock_timeout"], params["statement_timeout"], params["retries"], params["retry_delay"]
            ),
            check_mode=module.check_mode,
        )
    except DbopsError as error:
        module.fail_json(msg=str(error))
    for warning in outcome.planned.warnings:
        module.warn(warning)
    module.exit_json(
        changed=outcome.planned.plan.changed,
        statements=list(outcome.statements),
        diff=outcome.planned.plan.diff(),
        capabilities=outcome.capabilities.as_dict(),
    )


if __name__ == "__main__":
    main()
