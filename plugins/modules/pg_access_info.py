#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_access_info
short_description: Who can do what on a PostgreSQL server
version_added: 0.1.0
author: the dbops.postgres authors (@dbops)
description:
  - Returns the effective access of every role to every object, through grants, ownership, membership, SET ROLE, PUBLIC
    and predefined roles, from the live catalog.
  - Objects that a role has the same privileges on by the same way are one entry.
  - Objects of extensions and of system schemas, and row-level security, are left out.
  - A privilege on an object is of use together with CONNECT on its database and USAGE on its schema, which are
    entries of their own.
extends_documentation_fragment:
  - dbops.postgres.login
  - dbops.postgres.attributes
  - dbops.postgres.attributes.action_group
  - dbops.postgres.attributes.info
options:
  databases:
    description: Databases to look into. Empty means every one that allows connections and is no template.
    type: list
    elements: str
    default: []
  roles:
    description: Roles to list. Empty means all but C(pg_*). PUBLIC is always listed.
    type: list
    elements: str
    default: []
seealso:
  - module: dbops.postgres.pg_access
"""

EXAMPLES = r"""
- name: See who can do what in the payments database
  dbops.postgres.pg_access_info:
    databases: [payments_db]
  become: true
  register: access_info

- name: Show who can delete payments
  ansible.builtin.debug:
    msg: "{{ access_info.access | selectattr('objects', 'contains', 'payments')
             | selectattr('privileges', 'contains', 'DELETE') | map(attribute='role') }}"
"""

RETURN = r"""
access:
  description: The effective access, sorted.
  type: list
  elements: dict
  returned: success
  contains:
    role:
      description: The role, or C(PUBLIC).
      type: str
      sample: analytics_ro
    database:
      description: The database; C(*) for whoever may do everything.
      type: str
      sample: payments_db
    schema:
      description: The schema; empty when the objects are a database or schemas.
      type: str
      sample: public
    kind:
      description: One of C(database), C(schema), C(table), C(column), C(sequence), C(function), C(type).
      type: str
      sample: table
    objects:
      description: Their names. A column is C(table.column), a function has its input types.
      type: list
      elements: str
      sample: [payments, refunds]
    privileges:
      description: What the role may do.
      type: list
      elements: str
      sample: [SELECT]
    via:
      description:
        - How the role comes to it. C(grant), C(owner), C(superuser) or C(PUBLIC); C(member of x) by inheritance;
          C(SET ROLE x) when it has to say so first.
      type: str
      sample: member of payments_prod_ro
roles:
  description: The roles of the server, sorted.
  type: list
  elements: dict
  returned: success
  sample:
    - name: payments_prod_app
      superuser: false
      login: true
      connection_limit: 20
      valid_until:
      member_of: [payments_prod_rw]
owners:
  description: Owner by database.
  type: dict
  returned: success
  sample: {payments_db: payments_prod_owner}
objects:
  description: How many objects there are, by database, schema and kind.
  type: dict
  returned: success
  sample: {payments_db: {public: {table: 4, sequence: 4}}}
capabilities:
  description: What the connected role can see, as M(dbops.postgres.pg_access) returns it.
  type: dict
  returned: success
  sample: {server_version: 170002, user: postgres, superuser: true, pg_authid: true, rds: false, in_recovery: false}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._access.info import gather
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import LOGIN_ARGUMENTS, login_from

NAMES: dict[str, Any] = {"type": "list", "elements": "str", "default": []}


def main() -> None:
    module = AnsibleModule(
        argument_spec={**LOGIN_ARGUMENTS, "databases": NAMES, "roles": NAMES},
        supports_check_mode=True,
    )
    try:
        found = gather(login_from(module.params), module.params["databases"], module.params["roles"])
    except DbopsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
