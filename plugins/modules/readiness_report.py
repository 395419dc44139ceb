#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: readiness_report
short_description: One report for the findings of a whole estate
version_added: 0.1.0
author: the dbops.postgres authors (@dbops)
description:
  - Joins what M(dbops.postgres.readiness_check) returned on each host into one report, as HTML, JSON, JUnit XML and
    Markdown. Run it once, on the controller. The findings of other checks are joined in the same way.
  - A host without findings (not reached, or its task failed) stands in the report as C(error).
extends_documentation_fragment:
  - dbops.postgres.attributes
attributes:
  check_mode:
    support: full
    details:
      - Says which files would be written and writes none.
  diff_mode:
    support: none
    details:
      - A report is new each time; a difference would say nothing.
  idempotent:
    support: full
    details:
      - The same results and the same O(generated) give the same files.
options:
  results:
    description: For each host in the inventory, what M(dbops.postgres.readiness_check) returned there.
    type: dict
    required: true
  directory:
    description:
      - Directory for the files, by default C(readiness.html), C(readiness.json), C(readiness.xml) and C(readiness.md).
    type: path
    required: true
  name:
    description: Name of the files, without its end.
    type: str
    default: readiness
  formats:
    description: Which of them to write.
    type: list
    elements: str
    choices: [html, json, junit, markdown]
    default: [html, json, junit, markdown]
  title:
    description: Title of the report.
    type: str
    default: PostgreSQL readiness
  generated:
    description: When the findings were made, as the report shows it. By default now.
    type: str
  fail_on:
    description:
      - Severity from which a failed finding fails the estate, for the words of the report and for RV(failures).
      - The module itself does not fail, so that the report can be shown first.
    type: str
    choices: [never, critical, high, medium]
    default: critical
"""

EXAMPLES = r"""
- name: Write one report for all hosts
  dbops.postgres.readiness_report:
    results: "{{ dict(ansible_play_hosts_all | zip(ansible_play_hosts_all | map('extract', hostvars, 'readiness'))) }}"
    directory: ./readiness-report
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
table:
  description: Control by host, a line for each control, for a terminal.
  returned: always
  type: list
  elements: str
  sample: ["S-4   Encryption in transit  critical  pass"]
totals:
  description: How many findings there are of each status, in words.
  returned: always
  type: str
  sample: 2 fail, 80 pass
failures:
  description: Why the estate fails by O(fail_on). Empty if it does not.
  returned: always
  type: str
  sample: "2 critical finding(s) failed or could not be looked at: S-4 on db1. Nothing was changed."
files:
  description: The files, by format.
  returned: always
  type: dict
  sample: {html: /srv/reports/readiness.html}
passed:
  description: Whether everything was looked at and holds, is waived or does not apply, on every host.
  returned: always
  type: bool
  sample: false
"""

import datetime
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._findings import (
    FAIL_ON,
    failure_message,
    passed,
    to_json,
)
from ansible_collections.dbops.postgres.plugins.module_utils._findings_html import to_html
from ansible_collections.dbops.postgres.plugins.module_utils._findings_text import table, to_junit, to_markdown, totals
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.estate import joined
from ansible_collections.dbops.postgres.plugins.module_utils._report_file import write

WRITERS = {
    "html": ("html", to_html),
    "json": ("json", to_json),
    "junit": ("xml", to_junit),
    "markdown": ("md", to_markdown),
}

ARGUMENTS = {
    "results": {"type": "dict", "required": True},
    "directory": {"type": "path", "required": True},
    "name": {"type": "str", "default": "readiness"},
    "formats": {"type": "list", "elements": "str", "choices": list(WRITERS), "default": list(WRITERS)},
    "title": {"type": "str", "default": "PostgreSQL readiness"},
    "generated": {"type": "str"},
    "fail_on": {"type": "str", "choices": list(FAIL_ON), "default": "critical"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    generated = params["generated"] or datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    report = joined(params["results"], params["title"], generated, params["fail_on"])
    directory = os.path.abspath(params["directory"])
    files = {}
    changed = False
    for name in params["formats"]:
        end, writer = WRITERS[name]
        files[name] = os.path.join(directory, f"{params['name']}.{end}")
        try:
            changed = write(module, files[name], writer(report)) or changed
        except OSError as error:
            module.fail_json(msg=f"Cannot write {files[name]}: {error.strerror}. Choose another directory.")
    module.exit_json(
        changed=changed,
        table=table(report),
        totals=totals(report),
        failures=failure_message(report.findings, params["fail_on"]),
        files=files,
        passed=passed(report.findings),
    )


if __name__ == "__main__":
    main()
