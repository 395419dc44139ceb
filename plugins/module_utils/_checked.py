# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module that checks a database ends: JUnit, the record on the host, the result, and whether the task fails."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

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
    changed: bool = False,
    said: str = "",
    failure: str = "",
    facts: Mapping[str, object] | None = None,
    **more: Any,
) -> None:
    """Write what the options ask for and end the module.

    :param module: the AnsibleModule.
    :param check: its name.
    :param controls: what it looks at.
    :param files: further files, path -> content.
    :param changed: whether the module has written a file of its own.
    :param said: one line for a person, for the record and for a task that passes; empty: how many findings there are.
    :param failure: what a task says that fails; empty: the controls and the first findings.
    :param facts: for the record, besides the counts.
    :param more: further return values.
    """
    params = module.params
    shown = ordered(findings)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    host = os.uname().nodename
    report = Report(check, now, (host,), tuple(controls), tuple(finding.on(host) for finding in shown))
    result: dict[str, Any] = {
        "changed": changed,
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
            about = {**_facts(shown), **(facts or {})}
            record_check(check, database, good, said or totals(report), about, statuses(shown))
            result["changed"] = True
    except OSError as error:
        module.fail_json(msg=f"The result cannot be written: {error}. The database was not changed.", **result)
    message = failure_message(shown, params["fail_on"])
    if message:
        worst = [f"{finding.subject}: {finding.evidence}" for finding in shown if finding.status in _BAD][:5]
        module.fail_json(msg=failure or f"{message} First of them: {' | '.join(worst)}", **result)
    module.exit_json(**({"msg": said} if said else {}), **result)


def unseen(module: Any, check: str, database: str, controls: Sequence[str], error: Exception) -> NoReturn:
    """End a module that could not look at its database, and leave that on record: what was there before proves nothing
    any more.

    :param controls: ids of what it would have looked at.
    """
    message = f"Database {database} could not be looked at. {error}"
    if module.params["evidence"] and not module.check_mode:
        try:
            record_unseen(check, database, controls, error)
        except OSError as failed:
            message += f" No record of that could be left: {failed}."
    module.fail_json(msg=message)
    raise AssertionError(message)


def record_unseen(check: str, database: str, controls: Sequence[str], error: Exception) -> None:
    """Leave on record that a database could not be looked at: neither good nor bad.

    :raises OSError: it cannot be written.
    """
    found = {control: [Status.ERROR.value] for control in controls}
    record_check(check, database, False, f"It could not be looked at: {error}", statuses=found)


def _facts(findings: Sequence[Finding]) -> Mapping[str, object]:
    return {"failed": [f"{f.title}: {f.subject}" for f in findings if f.status in _BAD][:20], **summary(findings)}
