#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_constraint_check
short_description: Prove that every constraint of a database rejects a row that violates it
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - For every primary key, unique constraint, unique index, foreign key, check, NOT NULL and exclusion constraint, also
    of partitions and of domains, a row that violates it is made from the catalog and tried. It must fail with exactly
    the name and the SQLSTATE of that constraint; a valid row must have been accepted before.
  - A constraint that is C(NOT VALID), C(NOT ENFORCED), whose triggers are disabled, whose index is invalid, or that
    rows violate which are there already, is not enforced.
  - Everything happens in one transaction, which is rolled back. It works on an empty schema, for which it makes parent
    rows of its own, and on a live database.
  - What could not be tried is an C(error) with its reason, never a pass.
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
  i_know_this_is_production:
    description:
      - On a server that says in C(cluster_name) that it is production no row is tried, unless this has the words
        V(try the constraints on the production server). Without them only the catalog and the rows that are there are
        looked at, and everything else is C(not_tested).
      - The rows are rolled back; until then, mostly for less than a second, they hold locks like those of any INSERT.
    type: str
    default: ''
notes:
  - Run it as a superuser, or as a role that may write to the tables and to which their row-level security does not
    apply.
  - Triggers of the user run as they do for every INSERT. Those that change or refuse rows before a constraint is asked
    are switched off for that one row (C(session_replication_role), which takes a superuser or a grant), and the reason
    says so. What a trigger does outside of the transaction is not rolled back.
  - No sequence moves by what the module does; RV(sequences_moved) names those that moved meanwhile, by triggers or by
    other sessions. The statistics of PostgreSQL count the rows that were rolled back, and their space is freed by the
    next vacuum.
"""

EXAMPLES = r"""
- name: Every constraint of a freshly migrated database bites
  dbops.postgres.pg_constraint_check:
    login_db: payments_db

- name: The same with values, exemptions and what must be there, from the spec file of the application
  dbops.postgres.pg_constraint_check:
    spec_file: /srv/payments/database.yml
    fail_on: medium

- name: A live database, one schema
  dbops.postgres.pg_constraint_check:
    login_db: payments_db
    schemas: [public]
    i_know_this_is_production: try the constraints on the production server
    evidence: true
  become: true
"""

RETURN = r"""
findings:
  description: Each constraint that was not proven; how many of each table were; the coverage.
  returned: when the database could be looked at
  type: list
  elements: dict
  sample:
    - control: T-2
      subject: 'public.Refund: Refund_paymentId_fkey'
      severity: high
      status: fail
      evidence: "foreign key Refund_paymentId_fkey: not enforced: its triggers are disabled on public.Refund"
      remedy: ALTER TABLE ... ENABLE TRIGGER ALL, then look for rows that got in meanwhile.
      benchmarks: []
      title: constraint not enforced
      host: ''
      waiver: ''
      expires: ''
passed:
  description: Whether everything was looked at and holds, or is exempt.
  returned: when the database could be looked at
  type: bool
  sample: false
summary:
  description: How many findings there are of each status.
  returned: when the database could be looked at
  type: dict
  sample: {fail: 1, error: 0, not_tested: 0, waived: 0, pass: 9, not_applicable: 0}
coverage:
  description: Percent of the constraints that were proven; those that are exempt do not count.
  returned: when the database could be looked at
  type: float
  sample: 98.8
constraints:
  description: All constraints that were looked at. RV(constraints[].result) is C(proven), C(not enforced),
    C(could not be tried) or C(exempt).
  returned: when the database could be looked at
  type: list
  elements: dict
  contains:
    table:
      description: Its table, with the schema; C(domain) and its name for one of a domain.
      type: str
    name:
      description: Its name; of NOT NULL that of the column before PostgreSQL 18.
      type: str
    kind:
      description: What it is.
      type: str
    columns:
      description: The columns that it looks at.
      type: list
      elements: str
    result:
      description: What became of it.
      type: str
    reason:
      description: Why, or how, where it was not the usual way.
      type: str
  sample:
    - table: public.Refund
      name: Refund_amount_check
      kind: check
      columns: [amount]
      result: proven
      reason: ''
sequences_moved:
  description: Sequences whose last value is another one than before, by triggers or by other sessions.
  returned: when the database could be looked at
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._checked import finish
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.judge import CONTROLS
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.run import run
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import LOGIN_ARGUMENTS, login_from
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import (
    SPEC_ARGUMENTS,
    SPEC_EXCLUSIVE,
    database,
    given,
)

ARGUMENTS = {**LOGIN_ARGUMENTS, **SPEC_ARGUMENTS, "i_know_this_is_production": {"type": "str", "default": ""}}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, mutually_exclusive=SPEC_EXCLUSIVE, supports_check_mode=True)
    params = module.params
    try:
        file = given(params)
        name = database(params, file)
        found = run(login_from(params), name, file, params["schemas"], params["i_know_this_is_production"])
    except DbopsError as error:
        module.fail_json(msg=str(error))
    finish(
        module,
        "pg_constraint_check",
        name,
        CONTROLS,
        found.findings,
        coverage=found.coverage,
        constraints=found.listed(),
        sequences_moved=list(found.sequences),
    )


if __name__ == "__main__":
    main()
