#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: migration_lint_check
short_description: What a migration would break, before it runs
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Reads the SQL files of a migration tool with PostgreSQL's own grammar and finds statements that lose data, keep
    queries waiting, break running code, open access, or fail the way in which the tool runs them. squawk is asked as
    well.
  - Each finding says the file, the line, why, and the safe way written out for this statement.
  - Needs no database. Runs on the controller or in a CI job, with C(connection=local).
  - Tables that are made in the same run are empty, so nothing that only hurts existing rows is found in them. Types of
    columns and valid constraints are known from the files before.
  - Files that take a migration back (C(down.sql), C(.down.sql), C(U1__x.sql)) are not judged.
requirements:
  - pglast >= 8 where the module runs
  - squawk-cli >= 2.50 where the module runs, unless O(squawk=false)
  - PyYAML, for O(approvals_file)
options:
  path:
    description: The folder that the migration tool reads.
    type: path
    required: true
  layout:
    description:
      - How the files are laid out. V(auto) tells by their names.
      - V(prisma) is C(*/migration.sql), V(flyway) C(V1__x.sql), C(U1__x.sql) and C(R__x.sql), V(golang-migrate)
        C(000001_x.up.sql), V(plain) C(*.sql) in order of their names.
      - V(command) is a tool without SQL files. Then there is nothing to read, and the finding says C(not_tested).
    type: str
    choices: [auto, prisma, flyway, golang-migrate, plain, command]
    default: auto
  postgresql_version:
    description: Major version of the server.
    type: int
    default: 15
  only:
    description:
      - Judge these files only, for example those of a pull request. Files that are no migration are left out.
      - The other files are read for what they tell about tables and columns.
    type: list
    elements: path
  history:
    description:
      - What is applied already. With it, only the other files are judged, and they count as one run.
      - Without it and without O(only), every file is judged as a run of its own.
    type: list
    elements: dict
    suboptions:
      id:
        description: The migration as the tool's own table calls it.
        type: str
        required: true
      applied_at:
        description: When, in the form of ISO 8601. Without an offset it is UTC.
        type: str
        required: true
      checksum:
        description: What the tool has recorded. A file whose text has changed since is a finding.
        type: str
  contract_after_days:
    description:
      - How many days an expand step must have been live before its contract step may run.
      - "The file of the contract step names it, with the comment C(-- dbops: contracts <id>)."
    type: int
    default: 7
  enum_allowed:
    description: ENUM types whose values truly never change. Any other is a finding of control E-6.
    type: list
    elements: str
    default: []
  reference_tables:
    description: Tables whose rows belong to the schema, so that a migration may insert them. Others are control E-5.
    type: list
    elements: str
    default: []
  approvals_file:
    description:
      - YAML file with a list of approvals, each with C(rule), C(file), C(by), C(because), C(until) (a day) and, to
        narrow it, C(statement) (words of it) or C(object).
      - An approval can stand in the migration itself as well, see the notes.
    type: path
  squawk:
    description: Whether squawk is asked.
    type: bool
    default: true
  fail_on:
    description: Severity from which a finding fails the task.
    type: str
    choices: [never, critical, high, medium]
    default: high
  junit:
    description: File for the findings as JUnit XML.
    type: path
  sarif:
    description: File for the findings as SARIF 2.1.0, for the code view of a pull request.
    type: path
  json:
    description: File for the findings as JSON.
    type: path
notes:
  - "An approval in a file is the comment C(-- dbops: approve <rule> by <who> because <why> until <YYYY-MM-DD>), just
    above its statement; above the first statement with an empty line between it is for the whole file."
  - An approval that has expired does not count, one of an unknown rule is an error, one that matches nothing is a
    finding.
attributes:
  check_mode:
    support: full
    details:
      - The same as the real run, except that O(junit), O(sarif) and O(json) are not written.
  diff_mode:
    support: N/A
    details:
      - Nothing changes, except the files of the report.
  idempotent:
    support: full
    details:
      - The same files on the same day give the same findings. O(junit) and O(json) hold the time.
extends_documentation_fragment:
  - dbops.postgres.attributes
seealso:
  - name: squawk
    description: The linter that is asked as well.
    link: https://squawkhq.com
"""

EXAMPLES = r"""
- name: Lint the migrations of this repository
  dbops.postgres.migration_lint_check:
    path: prisma/migrations
  delegate_to: localhost

- name: Lint what a pull request changes, for the code view
  dbops.postgres.migration_lint_check:
    path: db/migrations
    only: "{{ changed_files }}"
    enum_allowed: [weekday]
    reference_tables: [order_status]
    approvals_file: db/approvals.yml
    sarif: lint.sarif
  delegate_to: localhost
"""

RETURN = r"""
findings:
  description:
    - Every finding in the form of all checks, with what only the lint knows.
    - Files without one are a C(pass) each.
  returned: success or failure by O(fail_on)
  type: list
  elements: dict
  sample:
    - control: E-4
      subject: db/migrations/0002_index.sql:3
      status: fail
      severity: high
      rule: index-concurrently
      class: expand
      file: db/migrations/0002_index.sql
      line: 3
      statement: CREATE INDEX orders_customer_idx ON orders (customer_id)
      why: The table refuses writes until the index is built.
      safe_way: "-- dbops: no-transaction\nCREATE INDEX CONCURRENTLY orders_customer_idx ON orders (customer_id);"
      seen_by: [dbops, squawk]
passed:
  description: Whether everything was looked at and nothing was found that is not approved.
  returned: success or failure by O(fail_on)
  type: bool
  sample: false
summary:
  description: How many findings there are of each status.
  returned: success or failure by O(fail_on)
  type: dict
  sample: {fail: 1, error: 0, not_tested: 0, waived: 0, pass: 1, not_applicable: 0}
report:
  description: The findings for a person, a line each. When the task fails they are its message.
  returned: success or failure by O(fail_on)
  type: list
  elements: str
  sample: ["2 migration(s) looked at: nothing found."]
judged:
  description: The files that were looked at.
  returned: success or failure by O(fail_on)
  type: list
  elements: str
  sample: [db/migrations/0002_index.sql]
"""

import datetime
import os

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.dbops.postgres.plugins.module_utils._findings import FAIL_ON, offending, passed, summary
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint import check, report
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import AUTO, LAYOUTS
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source_read import read_source
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._report_file import write

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "layout": {"type": "str", "choices": [AUTO, *LAYOUTS], "default": AUTO},
    "postgresql_version": {"type": "int", "default": 15},
    "only": {"type": "list", "elements": "path"},
    "history": {
        "type": "list",
        "elements": "dict",
        "options": {
            "id": {"type": "str", "required": True},
            "applied_at": {"type": "str", "required": True},
            "checksum": {"type": "str"},
        },
    },
    "contract_after_days": {"type": "int", "default": 7},
    "enum_allowed": {"type": "list", "elements": "str", "default": []},
    "reference_tables": {"type": "list", "elements": "str", "default": []},
    "approvals_file": {"type": "path"},
    "squawk": {"type": "bool", "default": True},
    "fail_on": {"type": "str", "choices": list(FAIL_ON), "default": "high"},
    "junit": {"type": "path"},
    "sarif": {"type": "path"},
    "json": {"type": "path"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    lacking = check.missing(params["squawk"])
    if lacking:
        module.fail_json(msg=missing_required_lib(lacking, reason="to read migrations"))
    now = datetime.datetime.now(datetime.timezone.utc)
    root = params["path"]
    try:
        source = read_source(root, params["layout"])
        outcome = check.lint_source(source, check.options_from(params, source, now), params["squawk"])
    except DbopsError as error:
        module.fail_json(msg=str(error))
    plain = report.as_findings(outcome.findings, outcome.judged, outcome.nothing, root)
    generated = now.isoformat(timespec="seconds")
    texts = {
        "junit": report.junit(plain, root, generated, params["fail_on"]),
        "sarif": report.sarif(outcome.findings, root),
        "json": report.as_json(outcome.findings, plain, generated, root),
    }
    changed = False
    for name, text in texts.items():
        if params[name]:
            try:
                changed = write(module, os.path.abspath(params[name]), text) or changed
            except OSError as error:
                module.fail_json(msg=f"Cannot write {params[name]}: {error.strerror}. Choose another file.")
    lines = report.lines(outcome.findings, len(outcome.judged), root)
    if outcome.nothing is not None:
        lines = [outcome.nothing.evidence]
    result = {
        "changed": changed,
        "findings": report.as_data(outcome.findings, plain, root),
        "passed": passed(plain),
        "summary": summary(plain),
        "report": lines,
        "judged": [f"{root.rstrip('/')}/{file}" for file in outcome.judged],
    }
    if offending(plain, params["fail_on"]):
        module.fail_json(msg="\n".join([*lines, "Nothing was run."]), **result)
    module.exit_json(msg=lines[-1], **result)


if __name__ == "__main__":
    main()
