#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pgbouncer_auth
short_description: Let a pooler look passwords up, and do nothing else
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Makes a login for the pooler and, in each pooled database, a schema C(dbops_pooler) with the function C(lookup),
    which that login alone may execute. It gives the pooler the SCRAM verifier of an ordinary login that has not
    expired, and nothing for a superuser, a member of one, a replication role or a role that bypasses row-level
    security.
  - The function runs as its owner with a pinned C(search_path) and qualified names. The login is no member of any
    role, has the right to connect to the pooled databases, and O(connections) at most.
  - The server receives a SCRAM verifier of O(password), never the password.
  - Needs a superuser, because only superusers may let somebody read C(pg_authid).
options:
  user:
    description: Name of the pooler's login.
    type: str
    default: dbops_pooler
  password:
    description: Its password.
    type: str
    required: true
  databases:
    description: The pooled databases, by their real names. They must exist.
    type: list
    elements: str
    required: true
  connections:
    description:
      - How many connections the login may have. Each process of each pooler needs two a database, one and its
        successor; V(0) is enough for one process.
    type: int
    default: 0
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
extends_documentation_fragment:
  - dbops.postgres.attributes
  - dbops.postgres.attributes.action_group
  - dbops.postgres.login
seealso:
  - module: dbops.postgres.pgbouncer_config
"""

EXAMPLES = r"""
- name: Let the pooler look passwords up
  dbops.postgres.pgbouncer_auth:
    password: "{{ vault_pgbouncer_auth_password }}"
    databases: [payments_db, auth_db]
"""

RETURN = r"""
statements:
  description: The statements in order, also in check mode; secrets are masked.
  returned: success
  type: list
  elements: str
  sample: ["GRANT CONNECT ON DATABASE \"payments_db\" TO \"dbops_pooler\""]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.auth_apply import converge
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import LOGIN_ARGUMENTS, login_from

ARGUMENTS = {
    **LOGIN_ARGUMENTS,
    "user": {"type": "str", "default": "dbops_pooler"},
    "password": {"type": "str", "required": True, "no_log": True},
    "databases": {"type": "list", "elements": "str", "required": True},
    "connections": {"type": "int", "default": 0},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    databases = list(dict.fromkeys(module.params["databases"]))
    try:
        plan, statements = converge(
            login_from(module.params),
            module.params["user"],
            module.params["password"],
            databases,
            module.params["connections"],
            check=module.check_mode,
        )
    except DbopsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=plan.changed, statements=statements, diff=plan.diff())


if __name__ == "__main__":
    main()
