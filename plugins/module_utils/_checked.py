# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module that checks a database ends: JUnit, the record on the host, the result, and whether the task fails."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._evidence import record_check
from ansible_collections.dbops.postgres.plugins.module_utils._findings import (
    Control,
    Finding,
    Report,
    Status,
    failure_message,
    ordered,
    passed,
    statuses,
    summary,
)
from ansible_collections.dbops.postgres.plugins.module_utils._findings_text import to_junit, totals
from ansible_collections.dbops.postgres.plugins.module_utils._report_file import write

# What a CI database cannot tell (nothing was read there yet) does not make a record say that a control is broken.
_BAD = (Status.FAIL, Status.ERROR)


def finish(
    module: Any,
    check: str,
    database: str,
    controls: Sequence[Control],
    findings: Sequence[Finding],
    /,
    *,
    files: Mapping[str, str] | None = None,
    **more: Any,
) -> None:
    """Write what the options ask for and end the module.

    :param module: the AnsibleModule.
    :param check: its name.
    :param controls: what it looks at.
    :param files: further files, path -> content.
    :param more: further return values.
    """
    params = module.params
    shown = ordered(findings)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    host = os.uname().nodename
    report = Report(check, now, (host,), tuple(controls), tuple(finding.on(host) for finding in shown))
    result: dict[str, Any] = {
        "changed": False,
        "findings": [finding.as_dict() for finding in shown],
        "passed": passed(shown),
        "summary": summary(shown),
        **more,
    }
    wanted = {**(files or {}), **({params["junit"]: to_junit(report)} if params["junit"] else {})}
    try:
        for path, text in wanted.items():
            result["changed"] = write(module, path, text) or result["changed"]
        if params["evidence"] and not module.check_mode:
            good = not any(finding.status in _BAD for finding in shown)
            record_check(check, database, good, totals(report), _facts(shown), statuses(shown))
            result["changed"] = True
    except OSError as error:
        module.fail_json(msg=f"The result cannot be written: {error}. The database was not changed.", **result)
    message = failure_message(shown, params["fail_on"])
    if message:
        worst = [f"{finding.subject}: {finding.evidence}" for finding in shown if finding.status in _BAD][:5]
        module.fail_json(msg=f"{message} First of them: {' | '.join(worst)}", **result)
    module.exit_json(**result)


def _facts(findings: Sequence[Finding]) -> Mapping[str, object]:
    return {"failed": [f"{f.title}: {f.subject}" for f in findings if f.status in _BAD][:20], **summary(findings)}
