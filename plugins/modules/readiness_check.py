#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: readiness_check
short_description: Prove on the live system which controls hold
version_added: 0.1.0
author: the dbops.postgres authors (@dbops)
description:
  - Looks at a running server (catalog, settings, the certificate it presents, processes and files of its host) and
    judges it against the catalogue of controls, and against the recommendations of the CIS PostgreSQL 17 Benchmark.
  - It never changes anything, and it never looks at the variables that were meant to configure the server. It works
    on any PostgreSQL from version 13, also one that this collection did not build.
  - A server that is down, and anything else that should be visible and is not, is a finding with status C(error),
    not a crash. What cannot be seen by its nature (files of a server that is reached over the network) is
    C(not_tested). Neither counts as passed.
extends_documentation_fragment:
  - dbops.postgres.attributes
  - dbops.postgres.attributes.action_group
  - dbops.postgres.login
attributes:
  check_mode:
    support: full
    details:
      - The same as the real run, except that O(junit) is not written.
  diff_mode:
    support: none
    details:
      - There is nothing to show.
  idempotent:
    support: full
    details:
      - Nothing changes, except the file O(junit).
options:
  controls:
    description:
      - Controls to look at, for example V(S-4). Empty means every control that has a probe.
      - An unknown control, and one without a probe, is refused.
    type: list
    elements: str
    default: []
  skip_controls:
    description: Controls to leave out.
    type: list
    elements: str
    default: []
  databases:
    description: Look into these databases only. Empty means every database that allows connections.
    type: list
    elements: str
    default: []
  waivers:
    description:
      - Failures that are accepted for a stated reason. An expired waiver waives nothing, and the failure says so.
      - Only failures can be waived. What could not be looked at stays C(error) or C(not_tested).
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: The control, for example V(S-9).
        type: str
        required: true
      subject:
        description:
          - The subject as a finding names it, or a shell pattern. For the benchmark, the number of the recommendation.
        type: str
        default: '*'
      reason:
        description: Why it is accepted. The report shows it.
        type: str
        required: true
      expires:
        description: Last day on which it holds, as V(2027-01-31). Required for a critical control.
        type: str
  environment:
    description: Fail unless the server says that it is this environment. Empty means that any will do.
    type: str
    default: ''
  environments:
    description:
      - Names of environments, to be recognised between C(_), C(-) and C(.) in the names of roles. The environment that
        the server says it is belongs to them in any case.
    type: list
    elements: str
    default: [dev, development, test, stage, staging, prod, production]
  thresholds:
    description: Limits that an estate sets for itself.
    type: dict
    default: {}
    suboptions:
      certificate_days:
        description: A certificate must be valid for more than this many days.
        type: int
        default: 30
      slow_query_ms:
        description: Statements that take this long must be logged.
        type: int
        default: 500
      check_days:
        description: A check that a playbook or a timer runs must have passed within this many days.
        type: int
        default: 35
      network_prefix_v4:
        description: Shortest prefix of an IPv4 network that pg_hba.conf may admit.
        type: int
        default: 16
      network_prefix_v6:
        description: Shortest prefix of an IPv6 network that pg_hba.conf may admit.
        type: int
        default: 48
  object_buckets:
    description:
      - Buckets to judge by L-1. Who asks is found as boto3 finds it (environment, instance profile); it needs rights to
        read the configuration of the bucket, and none to read objects.
    type: list
    elements: dict
    default: []
    suboptions:
      bucket:
        description: The bucket.
        type: str
        required: true
      endpoint:
        description: URL of a server other than AWS's.
        type: str
      region:
        description: Its region.
        type: str
      ca:
        description: File with the authority of the endpoint's certificate.
        type: path
      path_style:
        description: Whether the bucket's name is part of the path and not of the host name.
        type: bool
  fail_on:
    description:
      - The task fails when a finding of this severity or a worse one has status C(fail) or C(error).
      - V(never) collects findings for M(dbops.postgres.readiness_report).
    type: str
    choices: [never, critical, high, medium]
    default: critical
  junit:
    description: Write the findings as JUnit XML to this file on the host that runs the module.
    type: path
notes:
  - On the server itself run it as root (C(become=true)) over the socket, so that processes and files can be seen.
    Over the network (O(login_host)) it judges what SQL and the TLS handshake show.
  - The sessions are read-only (C(default_transaction_read_only)) with a C(statement_timeout) of 15 s.
"""

EXAMPLES = r"""
- name: Prove the controls on this server, fail on critical ones
  dbops.postgres.readiness_check:
  become: true

- name: Only encryption in transit and network isolation, of a managed server
  dbops.postgres.readiness_check:
    login_host: db.example.com
    login_user: auditor
    login_password: "{{ vault_auditor_password }}"
    ssl_mode: verify-full
    controls: [S-4, S-6]
  delegate_to: localhost

- name: Accept one recommendation for a stated reason
  dbops.postgres.readiness_check:
    fail_on: high
    waivers:
      - {id: S-9, subject: "6.7", reason: No rule demands validated cryptography here}
      - {id: S-4, subject: certificate, reason: New authority from March on, expires: "2027-03-31"}
  become: true
"""

RETURN = r"""
findings:
  description: What was found, a finding for each control and subject.
  returned: always
  type: list
  elements: dict
  sample:
    - control: S-4
      subject: ssl
      severity: critical
      status: pass
      evidence: ssl = on, ssl_min_protocol_version = TLSv1.3
      remedy: ''
      benchmarks: [CIS 6.8]
      title: ''
      host: ''
      waiver: ''
      expires: ''
passed:
  description: Whether everything was looked at and holds, is waived or does not apply.
  returned: always
  type: bool
  sample: false
summary:
  description: How many findings there are of each status.
  returned: always
  type: dict
  sample: {fail: 2, error: 0, not_tested: 3, waived: 4, pass: 80, not_applicable: 5}
not_probed:
  description: Controls that have no probe yet. They are neither passed nor failed.
  returned: always
  type: list
  elements: str
  sample: [S-1, S-2, B-1]
register:
  description: The access register, who may do what, produced from the live catalog.
  returned: when control S-8 was looked at and the catalog could be read
  type: list
  elements: list
  sample: [[payments_prod_app, payments_db, payments_prod_rw, public, "INSERT on 4 table(s), SELECT on 4 table(s)"]]
trends:
  description: Measured times over the weeks, for the pictures of the report.
  returned: always
  type: list
  elements: dict
  sample:
    - title: 'Restore drills: time until restored'
      points: [{when: '2026-11-24 03:15 UTC', seconds: 120.5, good: true, label: restored and proven}]
      limit_seconds: 3600.0
      limit_label: target 60 min
unused_waivers:
  description: Waivers that no failure needs any more.
  returned: always
  type: list
  elements: str
  sample: ["S-9 3.1.23"]
"""

import contextlib
import datetime
import os
from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._findings import (
    FAIL_ON,
    Report,
    failure_message,
    passed,
    summary,
)
from ansible_collections.dbops.postgres.plugins.module_utils._findings_text import to_junit
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import LOGIN_ARGUMENTS, login_from
from ansible_collections.dbops.postgres.plugins.module_utils._readiness import check, drills, look, objects, waivers
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.catalogue import CONTROLS
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge import register
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import NotSeenError, Thresholds, Unseen
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import look as see
from ansible_collections.dbops.postgres.plugins.module_utils._report_file import write

_NAMES = {"type": "list", "elements": "str", "default": []}

ARGUMENTS = {
    **LOGIN_ARGUMENTS,
    "controls": _NAMES,
    "skip_controls": _NAMES,
    "databases": _NAMES,
    "waivers": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "id": {"type": "str", "required": True},
            "subject": {"type": "str", "default": "*"},
            "reason": {"type": "str", "required": True},
            "expires": {"type": "str"},
        },
    },
    "environment": {"type": "str", "default": ""},
    "environments": {"type": "list", "elements": "str", "default": list(Thresholds().environments)},
    "thresholds": {
        "type": "dict",
        "default": {},
        "options": {
            "certificate_days": {"type": "int", "default": 30},
            "slow_query_ms": {"type": "int", "default": 500},
            "check_days": {"type": "int", "default": 35},
            "network_prefix_v4": {"type": "int", "default": 16},
            "network_prefix_v6": {"type": "int", "default": 48},
        },
    },
    "object_buckets": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "bucket": {"type": "str", "required": True},
            "endpoint": {"type": "str"},
            "region": {"type": "str"},
            "ca": {"type": "path"},
            "path_style": {"type": "bool"},
        },
    },
    "fail_on": {"type": "str", "choices": list(FAIL_ON), "default": "critical"},
    "junit": {"type": "path"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    now = datetime.datetime.now(datetime.timezone.utc)
    try:
        chosen = check.select(params["controls"], params["skip_controls"])
        accepted = waivers.parse(params["waivers"])
    except DbopsError as error:
        module.fail_json(msg=str(error))
    want = Thresholds(
        environment=params["environment"], environments=tuple(params["environments"]), **params["thresholds"]
    )
    seen = replace(
        look.observed(login_from(params), params["databases"], now),
        buckets=objects.observe(params["object_buckets"] if any(control.id == "L-1" for control in chosen) else []),
    )
    findings = check.judged(seen, want, chosen, accepted, now.date())

    result = {
        "changed": False,
        "findings": [finding.as_dict() for finding in findings],
        "passed": passed(findings),
        "summary": summary(findings),
        "not_probed": [control.id for control in CONTROLS if control.id not in check.PROBED],
        "trends": [],
        "unused_waivers": waivers.unused(findings, accepted),
    }
    if any(control.id == "S-8" for control in chosen):
        with contextlib.suppress(NotSeenError):  # the finding of S-8 says why
            result["register"] = [list(row) for row in register.rows(see(seen.server))]
    if any(control.id == "B-2" for control in chosen) and not isinstance(seen.drills, Unseen):
        drilled = drills.trend(seen.drills)
        result["trends"] = [drilled.as_dict()] if drilled else []
    if params["junit"]:
        host = os.uname().nodename
        report = Report(
            "Readiness", now.isoformat(timespec="seconds"), (host,), tuple(chosen), tuple(f.on(host) for f in findings)
        )
        result["changed"] = write(module, params["junit"], to_junit(report))
    message = failure_message(findings, params["fail_on"])
    if message:
        module.fail_json(msg=message, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
