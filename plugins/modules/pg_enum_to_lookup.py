#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_enum_to_lookup
short_description: Write the migrations that turn an ENUM column into a key of a lookup table
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Reads the column and what hangs on it, and writes migrations as files. It never changes the database.
  - The expand migrations make the lookup table (name, description, is_active, sort_order), add the key beside the
    column with a trigger that keeps both in step whichever is written, fill it in batches, rebuild its indexes
    concurrently for the key, and prove the foreign key and that no key is missing. They may be applied while the
    application writes.
  - The contract migration drops the column, and with O(drop_type) the type. Apply it when nothing uses the column any
    more. It is written into a folder of its own, so that no tool applies it with the others.
  - Each has its way back. That of the contract adds the column as the last one, since PostgreSQL has no other place.
  - What cannot be converted is refused by name before anything is written. That is an array column, a partitioned or
    inheriting table, a default that is no label, and views, policies, constraints, functions with a parsed body,
    generated columns and triggers that mention the column.
  - Control E-6.
notes:
  - Text of functions in PL/pgSQL and of the application is not looked into.
  - A label that is added to the ENUM in the meantime has to be added to the lookup table as well; until then rows with
    it are refused. A row added to the lookup table alone can be used after the contract.
  - When both columns are written with one statement, the key counts.
  - Grant SELECT on the lookup table to who has to read it. The trigger and the foreign key need no grant.
  - The backfill is an UPDATE of each row. Other triggers of the table see it.
options:
  schema:
    description: Schema of the table. The lookup table is made there as well.
    type: str
    default: public
  table:
    description: The table.
    type: str
    required: true
  column:
    description: The column.
    type: str
    required: true
  lookup_table:
    description: Name of the lookup table. By default that of the type with C(_lookup).
    type: str
  key_column:
    description: Name of the new column. By default that of the column with C(_id).
    type: str
  dest:
    description: Folder of the migrations, where the module runs.
    type: path
    required: true
  contract_dest:
    description: Folder of the contract migration. By default O(dest) with C(_contract).
    type: path
  layout:
    description: How the migration tool names its files.
    type: str
    choices: [plain, golang-migrate, flyway, prisma]
    default: plain
  version:
    description: Number of the first migration; the others follow. For Prisma a time stamp as V(20260101120000).
    type: int
    required: true
  batch_pages:
    description: How many pages of the table (8 kB each) the backfill fills in one transaction.
    type: int
    default: 200
  drop_type:
    description: Whether the contract drops the type. It is refused while anything else uses the type.
    type: bool
    default: false
  force:
    description: Whether files that say something else are replaced. Do not do that with what was applied anywhere.
    type: bool
    default: false
extends_documentation_fragment:
  - dbops.postgres.login
  - dbops.postgres.attributes
  - dbops.postgres.attributes.action_group
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: dbops.postgres.pg_enum_check
"""

EXAMPLES = r"""
- name: Orders get a lookup table for their status
  dbops.postgres.pg_enum_to_lookup:
    login_db: payments_db
    table: orders
    column: status
    dest: migrations
    layout: golang-migrate
    version: 42
  delegate_to: localhost
"""

RETURN = r"""
files:
  description: Paths of the migrations, in the order in which they are applied, with their ways back.
  returned: success
  type: list
  elements: str
contract_files:
  description: Paths of the contract migration.
  returned: success
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._enums import files, generate
from ansible_collections.dbops.postgres.plugins.module_utils._enums.observe import observe
from ansible_collections.dbops.postgres.plugins.module_utils._enums.spec import check_request, refuse
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import (
    LOGIN_ARGUMENTS,
    compose,
    connect,
    login_from,
    reported,
)

ARGUMENTS = {
    **LOGIN_ARGUMENTS,
    "schema": {"type": "str", "default": "public"},
    "table": {"type": "str", "required": True},
    "column": {"type": "str", "required": True},
    "lookup_table": {"type": "str"},
    "key_column": {"type": "str", "no_log": False},
    "dest": {"type": "path", "required": True},
    "contract_dest": {"type": "path"},
    "layout": {"type": "str", "choices": list(files.LAYOUTS), "default": "plain"},
    "version": {"type": "int", "required": True},
    "batch_pages": {"type": "int", "default": 200},
    "drop_type": {"type": "bool", "default": False},
    "force": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    given = module.params
    folders = {"expand": given["dest"], "contract": given["contract_dest"] or given["dest"].rstrip("/") + "_contract"}
    try:
        check_request(given)
        written = _files(given)
        wanted = {os.path.join(folders[phase], name): text for phase, name, text in written}
        there = files.existing(list(wanted))
        files.refuse_others(there, wanted, given["force"])
        new = {path: text for path, text in wanted.items() if there[path] != text}
        if not module.check_mode:
            files.write(new)
    except DbopsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(new),
        files=[os.path.join(folders[phase], name) for phase, name, _text in written if phase == "expand"],
        contract_files=[os.path.join(folders[phase], name) for phase, name, _text in written if phase == "contract"],
        diff=[
            {"before_header": path, "after_header": path, "before": there[path] or "", "after": text}
            for path, text in new.items()
        ],
    )


def _files(given: dict[str, object]) -> list[tuple[str, str, str]]:
    connection = connect(login_from(given))
    try:
        connection.set_session(readonly=True)
        unread = reported(f"{given['schema']}.{given['table']} cannot be looked at", "Run it again.")
        with unread, connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '30s'")
            column, names = observe(
                cursor,
                str(given["schema"]),
                str(given["table"]),
                str(given["column"]),
                str(given["lookup_table"] or ""),
                str(given["key_column"] or ""),
            )
        refuse(column, bool(given["drop_type"]))
        scripts = generate.scripts(column, names, int(str(given["batch_pages"])), bool(given["drop_type"]))
        return files.files(
            scripts, str(given["layout"]), int(str(given["version"])), lambda sql: compose(sql).as_string(connection)
        )
    finally:
        connection.close()


if __name__ == "__main__":
    main()
