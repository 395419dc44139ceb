#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_migration_info
short_description: Which migrations of a folder a database has
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Reads the table of the tool that owns the migrations, and compares it with the files.
  - What is returned as RV(applied) is what M(dbops.postgres.migration_lint_check) takes as C(history).
requirements:
  - psycopg2 on the host
options:
  database:
    description: The database.
    type: str
    required: true
  path:
    description: Folder of the migrations, on the host.
    type: path
    required: true
  layout:
    description: How the files are laid out. V(auto) tells by their names.
    type: str
    choices: [auto, prisma, flyway, golang-migrate, plain]
    default: auto
  history_table:
    description: The tool's table, C(schema.name), where it is not in its usual place.
    type: str
    default: ""
  login_unix_socket:
    description: Directory of the server's socket.
    type: path
    default: /var/run/postgresql
  login_port:
    description: Its port.
    type: int
    default: 5432
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
  idempotent:
    support: full
extends_documentation_fragment:
  - dbops.postgres.attributes
  - dbops.postgres.attributes.info
seealso:
  - module: dbops.postgres.pg_migrate
  - module: dbops.postgres.migration_lint_check
"""

EXAMPLES = r"""
- name: What is pending
  dbops.postgres.pg_migration_info:
    database: payments_db
    path: /root/payments/migrations
  register: migrations
"""

RETURN = r"""
layout:
  description: How the files are laid out.
  returned: success
  type: str
  sample: prisma
table:
  description: The tool's table. Empty if there is none yet.
  returned: success
  type: str
  sample: public._prisma_migrations
applied:
  description:
    - What is applied. Where the tool does not keep when, C(applied_at) is now, so that no contract step is due too
      early.
  returned: success
  type: list
  elements: dict
  sample: [{id: 001_phone, applied_at: "2026-11-25T21:00:00+00:00", checksum: 9f86d081}]
pending:
  description: The files that are not applied.
  returned: success
  type: list
  elements: str
  sample: [002_index.sql]
unfinished:
  description: What the tool has begun and not ended.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._host_program.migrate import applied
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "database": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            "layout": {
                "type": "str",
                "choices": ["auto", "prisma", "flyway", "golang-migrate", "plain"],
                "default": "auto",
            },
            "history_table": {"type": "str", "default": ""},
            "login_unix_socket": {"type": "path", "default": "/var/run/postgresql"},
            "login_port": {"type": "int", "default": 5432},
        },
        supports_check_mode=True,
    )
    try:
        found = applied(module.params)
    except DbopsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
