#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_integrity_check
short_description: Prove that data is what it must be, and that its pages are sound
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Judges a database against control T-3, in read-only transactions that are rolled back.
  - Declared assertions (section C(integrity) of the spec file) must return no row.
  - Values of declared references that no foreign key guards, also into other databases and servers, must be there.
  - Sequences must not be near their end, nor near that of the column that takes their values.
  - Constraints must be valid and enforced, indexes valid, checksums on and without failures.
  - amcheck looks at every btree index and, if asked for, at every table.
extends_documentation_fragment:
  - dbops.postgres.attributes
  - dbops.postgres.attributes.action_group
  - dbops.postgres.login
  - dbops.postgres.assurance
attributes:
  check_mode:
    support: full
    details:
      - The same as the real run, except that O(junit) and the record of O(evidence) are not written.
  diff_mode:
    support: none
    details:
      - There is nothing to show.
  idempotent:
    support: full
    details:
      - Nothing changes, except the file O(junit) and the record of O(evidence).
options:
  amcheck:
    description:
      - V(indexes) checks the structure of every btree index (C(bt_index_check)).
      - V(all) also checks that each index has every row, and every table (C(verify_heapam)); it reads all of them.
      - Where the extension amcheck is not installed, or the role may not use it, this is C(not_tested).
    type: str
    choices: [none, indexes, all]
    default: indexes
  rootdescend:
    description:
      - Search for each entry of an index from its root (C(bt_index_parent_check)). Writers to the table wait meanwhile.
    type: bool
    default: false
  timeout:
    description: How long one statement may run, as PostgreSQL writes a duration.
    type: str
    default: 10min
notes:
  - An index or table costs a call of amcheck each; all else is a constant number of queries.
  - The rows that an assertion returns are counted up to 1,000. They may be somebody's data, so they are shown only
    where the assertion has C(show_rows).
seealso:
  - module: dbops.postgres.pg_index_check
  - name: amcheck
    description: What it checks, and the locks that it takes.
    link: https://www.postgresql.org/docs/current/amcheck.html
"""

EXAMPLES = r"""
- name: Nothing is wrong with the payments
  dbops.postgres.pg_integrity_check:
    login_db: payments_db
    spec:
      integrity:
        assertions:
          - name: no refund exceeds its payment
            sql: >-
              SELECT r.id FROM "Refunds" r JOIN "Payments" p ON p.id = r."paymentId"
              GROUP BY r.id, p.amount HAVING sum(r.amount) > p.amount
        references:
          - table: public.Payments
            columns: [userId]
            target: {table: public.Users, columns: [id], database: auth_db}
  become: true

- name: Every Sunday, all of it
  dbops.postgres.pg_integrity_check:
    login_db: payments_db
    spec_file: /srv/payments/database.yml
    amcheck: all
    timeout: 1h
    evidence: true
  become: true
"""

RETURN = r"""
findings:
  description: What was found, the worst first; C(title) is the rule.
  returned: when the database could be looked at
  type: list
  elements: dict
  sample:
    - control: T-3
      subject: public.events_id_seq
      severity: high
      status: fail
      evidence: >-
        It is at 1,932,735,283, 90.0 % of the way to 2,147,483,647, that of public.events.id end: then every INSERT
        fails.
      remedy: Make the column bigint, by a migration that does not lock the table for long.
      benchmarks: []
      title: sequence near its end
      host: ''
      waiver: ''
      expires: ''
passed:
  description: Whether everything was looked at and holds.
  returned: when the database could be looked at
  type: bool
  sample: false
summary:
  description: How many findings there are of each status.
  returned: when the database could be looked at
  type: dict
  sample: {fail: 1, error: 0, not_tested: 0, waived: 0, pass: 8, not_applicable: 0}
"""

import re
from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._checked import finish
from ansible_collections.dbops.postgres.plugins.module_utils._integrity.judge import CONTROLS, judge
from ansible_collections.dbops.postgres.plugins.module_utils._integrity.observe import observe
from ansible_collections.dbops.postgres.plugins.module_utils._integrity.references import refer
from ansible_collections.dbops.postgres.plugins.module_utils._integrity.spec import parse
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import LOGIN_ARGUMENTS, login_from
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import (
    SPEC_ARGUMENTS,
    SPEC_EXCLUSIVE,
    SpecError,
    database,
    given,
)

ARGUMENTS = {
    **LOGIN_ARGUMENTS,
    **SPEC_ARGUMENTS,
    "amcheck": {"type": "str", "choices": ["none", "indexes", "all"], "default": "indexes"},
    "rootdescend": {"type": "bool", "default": False},
    "timeout": {"type": "str", "default": "10min"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, mutually_exclusive=SPEC_EXCLUSIVE, supports_check_mode=True)
    params = module.params
    try:
        if not re.fullmatch(r"\d+\s*(ms|s|min|h)?", params["timeout"]):
            raise DbopsError(f"timeout: {params['timeout']!r} is no duration", "For example 10min.")
        file = given(params)
        name = database(params, file)
        try:
            spec = parse(file.section("integrity"))
        except SpecError as error:
            raise file.located(error) from None
        login = login_from(params)
        seen = observe(
            login, name, spec, params["schemas"], params["timeout"], params["amcheck"], params["rootdescend"]
        )
        seen = replace(seen, referred=refer(login, name, spec.references, params["timeout"]))
    except DbopsError as error:
        module.fail_json(msg=str(error))
    finish(module, "pg_integrity_check", name, CONTROLS, judge(seen, spec))


if __name__ == "__main__":
    main()
