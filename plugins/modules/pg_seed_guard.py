#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_seed_guard
short_description: A database that refuses seed and reset scripts in production
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Installs a guard into a database, so that a seed or reset script that somebody runs by hand fails where the server
    says that it is production. It is the same in every environment, and does nothing where the server says another one.
  - The environment is the part of C(cluster_name) after the C(@), which no session can change
    (P(dbops.postgres.server#role)). Where the server does not say it, O(environment) counts. Where neither does, the
    guard refuses.
  - In production TRUNCATE of a table of O(schemas) and DROP SCHEMA of one of them are refused to everybody, superusers
    included, but for O(allowed_roles) that say what they do. A role of O(seed_roles) can change and drop nothing in
    these schemas.
  - New tables are guarded when they are created. A script can call C(dbops.assert_not_production(\)) itself.
  - Control E-5.
notes:
  - The owner of a table can still disable its trigger, and a superuser the event triggers. This keeps accidents from
    happening, not somebody who means it.
  - DROP DATABASE, and DROP TABLE and DELETE by roles other than O(seed_roles), are not refused. What a role may do at
    all is a matter of M(dbops.postgres.pg_access).
  - A table that is moved into one of O(schemas) is guarded with the next run.
  - A role of O(allowed_roles) says in its session
    C(SET dbops.allow_reset = 'reset the production database <database>').
options:
  state:
    description: V(absent) removes the guard, and the schema C(dbops) when nothing else is in it.
    type: str
    choices: [present, absent]
    default: present
  schemas:
    description: Schemas whose tables are guarded.
    type: list
    elements: str
    default: [public]
  exempt:
    description: Tables, as C(schema.table), that may be emptied all the same, for example those of a nightly import.
    type: list
    elements: str
    default: []
  seed_roles:
    description: Roles that seed and reset scripts run as.
    type: list
    elements: str
    default: []
  allowed_roles:
    description: Roles whose logins may TRUNCATE, and drop a schema, in production, with the words.
    type: list
    elements: str
    default: []
  callers:
    description:
      - Further roles that may call C(dbops.assert_not_production(\)) and C(dbops.environment(\)). Roles of
        O(seed_roles) and O(allowed_roles) may.
    type: list
    elements: str
    default: []
  environment:
    description:
      - What this database is where the server does not say it, for example on a managed service. What the server says
        counts more.
    type: str
    default: ''
  evidence:
    description: Whether a record of the guard is left on this host for the readiness report. Not in check mode.
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
  - module: dbops.postgres.pg_seed
"""

EXAMPLES = r"""
- name: Guard the payments database
  dbops.postgres.pg_seed_guard:
    login_db: payments_db
    schemas: [public]
    seed_roles: [payments_dev_seed]
    exempt: [public.exchange_rates_import]
  become: true
"""

RETURN = r"""
statements:
  description: What was executed, or would be in check mode.
  returned: success
  type: list
  elements: str
environment:
  description: What the server says it is, or what was declared for it.
  returned: success
  type: str
  sample: prod
tables:
  description: How many tables are guarded.
  returned: success
  type: int
"""

from contextlib import suppress

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils import _checked, _evidence
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import LOGIN_ARGUMENTS, login_from
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.apply import converge
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.spec import parse

_NAMES = {"type": "list", "elements": "str", "default": []}
ARGUMENTS = {
    **LOGIN_ARGUMENTS,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "schemas": {"type": "list", "elements": "str", "default": ["public"]},
    "exempt": _NAMES,
    "seed_roles": _NAMES,
    "allowed_roles": _NAMES,
    "callers": _NAMES,
    "environment": {"type": "str", "default": ""},
    "evidence": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    login = login_from(module.params)
    try:
        spec = parse(module.params)
    except DbopsError as error:
        module.fail_json(msg=str(error))
    try:
        done = converge(login, spec, check_mode=module.check_mode)
    except DbopsError as error:
        # What an earlier run has seen proves nothing any more.
        if module.params["evidence"] and not module.check_mode:
            with suppress(OSError):
                _checked.record_unseen("pg_seed_guard", login.database, ["E-5"], error)
        module.fail_json(msg=str(error))
    if module.params["evidence"] and not module.check_mode:
        said = f"{done.tables} tables guarded; this is {done.environment}" if spec.present else "the guard was removed"
        facts = {"environment": done.environment, "tables": done.tables, "schemas": list(spec.schemas)}
        try:
            _evidence.record_check("pg_seed_guard", login.database, spec.present, said, facts)
        except OSError as error:
            module.fail_json(msg=f"The guard is as declared, but no record could be left: {error}. Run this again.")
    module.exit_json(
        changed=done.plan.changed,
        statements=list(done.statements),
        environment=done.environment,
        tables=done.tables,
        diff=done.plan.diff(),
    )


if __name__ == "__main__":
    main()
