#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: database_url_check
short_description: May this connection URL be used in this environment?
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Judges a connection URL before a program gets it, for example in a job that migrates. It connects to nothing.
  - A missing or malformed URL, several hosts, no user, no database, a password in the parameters and less TLS than the
    environment wants are failures; in production also a URL of this machine.
  - What it says holds no part of the URL. Control S-7.
options:
  url:
    description: The URL.
    type: str
  variable:
    description: Name of an environment variable, where the module runs, that holds the URL.
    type: str
  src:
    description: A file, where the module runs, that holds the URL and nothing else.
    type: path
  environment:
    description: Where it is to be used. V(prod), V(production) and V(live) are production.
    type: str
    required: true
  minimum:
    description:
      - The weakest C(sslmode) that will do, by environment. The key V('') stands for environments that are not named.
      - By default V(verify-full) in production and V(require) elsewhere, except for this machine.
    type: dict
    default: {}
  several_hosts:
    description: Whether a list of hosts will do.
    type: bool
    default: false
  fail_on:
    description: The task fails when a finding of at least this severity failed. All findings here are critical.
    type: str
    choices: [never, critical, high, medium]
    default: critical
extends_documentation_fragment:
  - dbops.postgres.attributes
  - dbops.postgres.attributes.info
seealso:
  - plugin: dbops.postgres.database_url
    plugin_type: filter
"""

EXAMPLES = r"""
- name: The job's URL is one for production
  dbops.postgres.database_url_check:
    variable: DATABASE_URL
    environment: prod
  delegate_to: localhost
"""

RETURN = r"""
findings:
  description: A finding for each rule.
  returned: always
  type: list
  elements: dict
  sample:
    - {control: S-7, subject: "DATABASE_URL: tls", severity: critical, status: fail,
       evidence: "sslmode=require, where at least verify-full is wanted", remedy: Add sslmode=verify-full.}
passed:
  description: Whether all hold.
  returned: always
  type: bool
summary:
  description: How many findings there are of each status.
  returned: always
  type: dict
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils import _urls
from ansible_collections.dbops.postgres.plugins.module_utils._findings import (
    FAIL_ON,
    Finding,
    Severity,
    Status,
    failure_message,
    passed,
    summary,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

ARGUMENTS = {
    "url": {"type": "str", "no_log": True},
    "variable": {"type": "str"},
    "src": {"type": "path"},
    "environment": {"type": "str", "required": True},
    "minimum": {"type": "dict", "default": {}},
    "several_hosts": {"type": "bool", "default": False},
    "fail_on": {"type": "str", "choices": list(FAIL_ON), "default": "critical"},
}


def main() -> None:
    module = AnsibleModule(
        ARGUMENTS,
        supports_check_mode=True,
        required_one_of=[("url", "variable", "src")],
        mutually_exclusive=[("url", "variable", "src")],
    )
    given = module.params
    name = given["variable"] or given["src"] or "connection URL"
    url = given["url"]
    try:
        _urls.check_minimum(given["minimum"])
        if given["variable"]:
            url = os.environ.get(given["variable"])
        elif given["src"]:
            with open(given["src"], encoding="utf-8") as file:
                url = file.read().rstrip("\r\n")
    except DbopsError as error:
        module.fail_json(msg=str(error))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        module.fail_json(msg=f"Cannot read {given['src']}: {why}. Nothing was changed. Give a file that holds the URL.")
    problems = {
        problem.rule: problem
        for problem in _urls.check_url(
            url, given["environment"], given["minimum"], several_hosts=given["several_hosts"]
        )
    }
    findings = [_finding(name, rule, problems) for rule in _urls.RULES]
    result = {
        "changed": False,
        "findings": [finding.as_dict() for finding in findings],
        "passed": passed(findings),
        "summary": summary(findings),
    }
    message = failure_message(findings, given["fail_on"])
    if message:
        why = "; ".join(f"{problem.text}. {problem.remedy}" for problem in problems.values())
        module.fail_json(msg=f"{name}: {why} {message}", **result)
    module.exit_json(**result)


def _finding(name: str, rule: str, problems: dict[str, _urls.Problem]) -> Finding:
    subject, title = f"{name}: {rule}", _urls.RULES[rule]
    unread = next((key for key in ("present", "form") if key in problems), "")
    if rule in problems:
        problem = problems[rule]
        return Finding("S-7", subject, Severity.CRITICAL, Status.FAIL, problem.text, problem.remedy, title=title)
    order = list(_urls.RULES)
    if unread and order.index(rule) > order.index(unread):
        return Finding("S-7", subject, Severity.CRITICAL, Status.ERROR, "the URL could not be read", title=title)
    return Finding("S-7", subject, Severity.CRITICAL, Status.PASS, title, title=title)


if __name__ == "__main__":
    main()
