#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_schema_snapshot
short_description: Write the schema of a database to a file that people review
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Reads the whole schema of a database, in one read-only transaction, into a file of sorted JSON with one line for
    each field. Committed beside the migrations, its changes are reviewed with them, and
    M(dbops.postgres.pg_schema_drift_check) compares production with it.
  - The file holds no row of any table. The values of user mappings, and of options that look like a secret, are masked.
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
  path:
    description: The file, on the host that runs the module. Its directory must exist.
    type: path
    required: true
  ignore:
    description: What is left out, as in M(dbops.postgres.pg_schema_drift_check).
    type: list
    elements: str
    default: []
  ignore_fields:
    description: Fields that are left out, for example V(owner) and V(grants).
    type: list
    elements: str
    default: []
  ignore_partitions_of:
    description: Tables whose partitions are left out, as shell patterns.
    type: list
    elements: str
    default: []
  statement_timeout:
    description: How long each query of the catalog may take, in seconds.
    type: int
    default: 60
requirements:
  - PostgreSQL 15 or later
seealso:
  - module: dbops.postgres.pg_schema_drift_check
"""

EXAMPLES = r"""
- name: Write the schema beside the migrations
  dbops.postgres.pg_schema_snapshot:
    login_host: localhost
    login_password: "{{ lookup('ansible.builtin.env', 'PGPASSWORD') }}"
    login_db: payments_db
    path: "{{ playbook_dir }}/schema/payments_db.json"
  delegate_to: localhost
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
  sample: /srv/payments/schema/payments_db.json
objects:
  description: How many objects it holds, by kind.
  returned: success
  type: dict
  sample: {table: 41, column: 322, index: 77, policy: 12}
server_major:
  description: The version of PostgreSQL.
  returned: success
  type: int
  sample: 17
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._evidence import replace
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import LOGIN_ARGUMENTS, login_from
from ansible_collections.dbops.postgres.plugins.module_utils._schema import look
from ansible_collections.dbops.postgres.plugins.module_utils._schema.ignore import ignore_from

_NAMES = {"type": "list", "elements": "str", "default": []}

ARGUMENTS = {
    **LOGIN_ARGUMENTS,
    "path": {"type": "path", "required": True},
    "ignore": _NAMES,
    "ignore_fields": _NAMES,
    "ignore_partitions_of": _NAMES,
    "statement_timeout": {"type": "int", "default": 60},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    path = params["path"]
    try:
        ignore = ignore_from(params["ignore"], params["ignore_fields"], params["ignore_partitions_of"])
        found = look.observed(login_from(params), ignore, params["statement_timeout"])
    except DbopsError as error:
        module.fail_json(msg=str(error))
    text, before = found.to_json(), _content(path)
    if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
        module.fail_json(msg=f"The directory of {path} does not exist. Nothing was changed. Make it first.")
    if text != before and not module.check_mode:
        try:
            replace(path, text)
        except OSError as error:
            module.fail_json(msg=f"{path} cannot be written: {error.strerror}. Nothing was changed.")
    module.exit_json(
        changed=text != before,
        path=path,
        objects={kind: len(objects) for kind, objects in sorted(found.objects.items())},
        server_major=found.server_major,
        diff={"before_header": path, "after_header": path, "before": before, "after": text},
    )


def _content(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""


if __name__ == "__main__":
    main()
