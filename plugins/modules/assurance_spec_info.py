#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: assurance_spec_info
short_description: A first spec file for a database, drafted from its catalog
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Drafts the spec file by which M(dbops.postgres.pg_rls_check), M(dbops.postgres.pg_constraint_check),
    M(dbops.postgres.pg_index_check), M(dbops.postgres.pg_plan_check) and M(dbops.postgres.pg_integrity_check) check a
    database. The playbook C(dbops.postgres.assure_init) writes it to a file.
  - What the catalog shows is drafted as it is, indexes for example. What only a person knows is drafted as a comment,
    for example who the identities of row-level security are. The draft is valid as it is.
  - Names of objects, expressions and the texts of statements in pg_stat_statements, which have no values, become part
    of the draft. Rows are not read.
extends_documentation_fragment:
  - dbops.postgres.login
  - dbops.postgres.attributes
  - dbops.postgres.attributes.action_group
  - dbops.postgres.attributes.info
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
  idempotent:
    support: full
options:
  schemas:
    description: Look into these schemas only. Empty means all but those of the system.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Draft the spec file of a database
  dbops.postgres.assurance_spec_info:
    login_db: aria_db
  become: true
  register: drafted

- name: Show it
  ansible.builtin.debug:
    msg: "{{ drafted.text.splitlines() }}"
"""

RETURN = r"""
text:
  description: The draft, YAML with comments.
  returned: success
  type: str
  sample: |
    database: aria_db

    rls:
      tenant_column: practice_id
database:
  description: The database.
  returned: success
  type: str
  sample: aria_db
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._assurance.draft import draft
from ansible_collections.dbops.postgres.plugins.module_utils._assurance.observe import observe
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import LOGIN_ARGUMENTS, login_from

ARGUMENTS = {**LOGIN_ARGUMENTS, "schemas": {"type": "list", "elements": "str", "default": []}}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    login = login_from(module.params)
    try:
        catalog = observe(login, login.database, module.params["schemas"])
    except DbopsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, text=draft(catalog), database=catalog.database)


if __name__ == "__main__":
    main()
