#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_plan_check
short_description: Prove that declared queries use their indexes and keep to their limits
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Runs the queries of the section C(plans) of the spec file under C(EXPLAIN (ANALYZE, BUFFERS, SETTINGS)) and judges
    their plans against control P-5. An index must be used, no large table be read from its beginning, rows removed,
    cost, time and the planner's errors stay below their limits.
  - All of it happens in one transaction that is rolled back, each query behind a savepoint, as the declared role and
    with the declared settings.
  - On an empty throwaway database rows can be made to a declared scale inside the transaction (O(generate)).
  - Writes the plans as Markdown for a pull request, and compares them with those from before a migration.
extends_documentation_fragment:
  - dbops.postgres.attributes
  - dbops.postgres.attributes.action_group
  - dbops.postgres.login
  - dbops.postgres.assurance
attributes:
  check_mode:
    support: full
    details:
      - The same as the real run, except that no file is written.
  diff_mode:
    support: none
    details:
      - There is nothing to show.
  idempotent:
    support: partial
    details:
      - The database does not change. The files O(report) and O(baseline) hold times, which differ from run to run.
options:
  generate:
    description:
      - Make the rows that C(plans.generate) of the spec file declares, and roll them back. The tables, and
        those that refer to them, must be empty.
      - It is refused where one has rows, so it cannot happen to a database in use.
    type: bool
    default: false
  timeout:
    description: How long one query may run, as PostgreSQL writes a duration.
    type: str
    default: 30s
  i_know_this_is_production:
    description:
      - On a server that says in C(cluster_name) that it is production, queries that change something are not run, and
        reported as C(not_tested), unless this has the words V(run the changing queries on the production server).
      - All others are run there, in a transaction that is read-only.
    type: str
    default: ''
  report:
    description: Write the plans and verdicts as Markdown to this file on the host that runs the module.
    type: path
  baseline:
    description:
      - Compare with the plans in this JSON file on the host that runs the module. If it is not there, it is written.
      - A plan whose cost, blocks read or rows removed have grown by more than O(baseline_factor) fails.
    type: path
  update_baseline:
    description: Write O(baseline) anew, after comparing.
    type: bool
    default: false
  baseline_factor:
    description: How much dearer than in O(baseline) a plan may be. Times are shown and not compared.
    type: float
    default: 1.5
notes:
  - Queries that change data are run as well, and rolled back. They hold their locks until then, use up values of
    sequences, and call triggers and functions, whose effects outside of the database nobody rolls back. Volatile
    functions are named in a warning. On a production server such queries need O(i_know_this_is_production).
  - C(search_path) is C("$user", public) unless the query's C(settings) say otherwise.
  - A query whose C(max_ms) is exceeded is run a second time, and the faster run counts.
  - Statistics of another server (C(pg_restore_relation_stats), PostgreSQL 18) are not imported; make rows instead.
seealso:
  - module: dbops.postgres.pg_index_check
  - name: EXPLAIN
    description: What the numbers of a plan mean.
    link: https://www.postgresql.org/docs/current/using-explain.html
"""

EXAMPLES = r"""
- name: In CI, on the migrated and otherwise empty database
  dbops.postgres.pg_plan_check:
    login_db: payments_db
    generate: true
    report: /tmp/plans.md
    spec:
      plans:
        generate:
          rows: {public.Payments: 200000}
          distinct: {public.Payments.status: 5}
        queries:
          - name: the last payments of a user
            sql: SELECT * FROM "Payments" WHERE "userId" = $1 ORDER BY "createdAt" DESC LIMIT 20
            parameters: [42]
            role: payments_service
            must_use_index: Payments_userId_createdAt_idx
            no_seq_scan_over_rows: 1000
            max_rows_removed: 100

- name: Before a migration keep the plans, afterwards compare
  dbops.postgres.pg_plan_check:
    login_db: payments_db
    spec_file: /srv/payments/database.yml
    baseline: /tmp/plans.json
"""

RETURN = r"""
findings:
  description: What was found, the worst first; C(subject) is the query, C(title) the limit.
  returned: when the database could be looked at
  type: list
  elements: dict
  sample:
    - control: P-5
      subject: the last payments of a user
      severity: high
      status: fail
      evidence: 'It reads from the beginning: public.Payments (about 200,000 rows); tables of up to 1,000 rows may be.'
      remedy: 'Build an index for its condition: pg_index.'
      benchmarks: []
      title: sequential scan
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
  sample: {fail: 1, error: 0, not_tested: 0, waived: 0, pass: 2, not_applicable: 0}
plans:
  description: Cost, time in milliseconds, blocks, rows removed and indexes of each query, as in the baseline.
  returned: when the database could be looked at
  type: dict
  sample:
    the last payments of a user: {cost: 4217.0, ms: 31.2, blocks: 1720, removed: 199995.0, indexes: []}
generated:
  description: How many rows were made in each table, and rolled back.
  returned: when the database could be looked at
  type: dict
  sample: {public.Payments: 200000}
candidates:
  description: The statements that take most of the server's time, by pg_stat_statements; empty when it is not there.
  returned: when the database could be looked at
  type: list
  elements: dict
  sample:
    - {query: SELECT * FROM "Refunds" WHERE status = $1, calls: 91200, mean_ms: 12.5, total_ms: 1140000.0, rows: 3}
report:
  description: What O(report) holds.
  returned: when the database could be looked at
  type: str
  sample: "### Query plans of payments_db: 1 broken\n"
"""

import os
import re
from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._checked import finish
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._plans.files import (
    baseline_text,
    read_baseline,
    with_files,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plans.judge import CONTROLS, judge, measured
from ansible_collections.dbops.postgres.plugins.module_utils._plans.observe import observe
from ansible_collections.dbops.postgres.plugins.module_utils._plans.report import markdown
from ansible_collections.dbops.postgres.plugins.module_utils._plans.spec import PRODUCTION_WORDS, parse
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
    "generate": {"type": "bool", "default": False},
    "timeout": {"type": "str", "default": "30s"},
    "i_know_this_is_production": {"type": "str", "default": ""},
    "report": {"type": "path"},
    "baseline": {"type": "path"},
    "update_baseline": {"type": "bool", "default": False},
    "baseline_factor": {"type": "float", "default": 1.5},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, mutually_exclusive=SPEC_EXCLUSIVE, supports_check_mode=True)
    params = module.params
    try:
        if not re.fullmatch(r"\d+\s*(ms|s|min|h)?", params["timeout"]):
            raise DbopsError(f"timeout: {params['timeout']!r} is no duration", "For example 30s.")
        said = params["i_know_this_is_production"]
        if said and said != PRODUCTION_WORDS:
            raise DbopsError(
                f"i_know_this_is_production is {said!r}, which are not the words that are asked for",
                f"Say i_know_this_is_production: {PRODUCTION_WORDS!r}, or leave it out.",
            )
        if params["baseline_factor"] < 1:
            raise DbopsError(f"baseline_factor: {params['baseline_factor']} is less than 1")
        file = given(params)
        name = database(params, file)
        try:
            spec = with_files(parse(file.section("plans")), os.path.dirname(params["spec_file"] or ""))
        except SpecError as error:
            raise file.located(error) from None
        before = read_baseline(params["baseline"]) if params["baseline"] else None
        seen = observe(login_from(params), name, spec, params["timeout"], params["generate"], params["schemas"], said)
    except DbopsError as error:
        module.fail_json(msg=str(error))
    for tried in seen.tried:
        if tried.volatile:
            module.warn(
                f"{tried.query.name} calls {', '.join(tried.volatile)}: a rollback may not undo what that does."
            )
    findings = judge(seen, before, params["baseline_factor"])
    text = markdown(name, seen, findings, before)
    files = {params["report"]: text} if params["report"] else {}
    if params["baseline"] and (before is None or params["update_baseline"]):
        files[params["baseline"]] = baseline_text(name, measured(seen))
    finish(
        module,
        "pg_plan_check",
        name,
        CONTROLS,
        findings,
        files=files,
        plans=measured(seen),
        generated=dict(seen.generated),
        candidates=[asdict(candidate) for candidate in seen.candidates or ()],
        report=text,
    )


if __name__ == "__main__":
    main()
