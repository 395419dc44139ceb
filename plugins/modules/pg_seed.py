#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_seed
short_description: Run a seed or reset file, but not in production
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Runs the SQL of one file as one transaction, after the server has said that it is not production. In production it
    refuses always.
  - A server that does not say which environment it is (C(cluster_name) without an C(@), and no
    M(dbops.postgres.pg_seed_guard) that was told) is refused as well, unless O(allow_unknown) says the words.
  - C(changed) says whether the transaction wrote anything.
notes:
  - The file holds SQL only, with no commands of psql and none that begin or end a transaction.
options:
  name:
    description: Name of the file, for messages.
    type: str
    required: true
  content:
    description: Its text.
    type: str
    required: true
  role:
    description: The role that runs it (SET ROLE). By default who logged in.
    type: str
    default: ''
  allow_unknown:
    description:
      - To run it on a server that does not say which environment it is, V(seed <database>, which is not production).
    type: str
    default: ''
  timeout_seconds:
    description: No statement runs longer.
    type: int
    default: 600
extends_documentation_fragment:
  - dbops.postgres.login
  - dbops.postgres.attributes
  - dbops.postgres.attributes.action_group
attributes:
  check_mode:
    support: partial
    details:
      - The environment is looked at and the file is not run, so C(changed) is true.
  diff_mode:
    support: none
  idempotent:
    support: N/A
    details:
      - That is up to the file.
seealso:
  - module: dbops.postgres.pg_seed_guard
"""

EXAMPLES = r"""
- name: Seed the development database
  dbops.postgres.pg_seed:
    login_db: payments_db
    name: seeds/customers.sql
    content: "{{ lookup('ansible.builtin.file', 'seeds/customers.sql') }}"
    role: payments_dev_seed
  become: true
"""

RETURN = r"""
environment:
  description: What the server says it is; empty when it does not.
  returned: success
  type: str
  sample: dev
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import LOGIN_ARGUMENTS, login_from
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.seed import seed

ARGUMENTS = {
    **LOGIN_ARGUMENTS,
    "name": {"type": "str", "required": True},
    "content": {"type": "str", "required": True, "no_log": True},
    "role": {"type": "str", "default": ""},
    "allow_unknown": {"type": "str", "default": ""},
    "timeout_seconds": {"type": "int", "default": 600},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    given = module.params
    if given["timeout_seconds"] < 1:
        module.fail_json(msg="timeout_seconds is less than 1. Nothing was changed. Give a number of seconds.")
    try:
        done = seed(
            login_from(given),
            given["name"],
            given["content"],
            given["role"],
            given["allow_unknown"],
            given["timeout_seconds"],
            check_mode=module.check_mode,
        )
    except DbopsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=done.changed, environment=done.environment)


if __name__ == "__main__":
    main()
