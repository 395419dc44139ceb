# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the checks returned for each database to the results that the report joins. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Status
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.catalogue import CONTROLS

# What each check proves.
CHECKS = {
    "pg_rls_check": ("T-1",),
    "pg_constraint_check": ("T-2",),
    "pg_index_check": ("P-2", "P-4"),
    "pg_plan_check": ("P-5",),
    "pg_integrity_check": ("T-3",),
    "pg_enum_check": ("E-6",),
}
_SEVERITY = {control.id: control.severity for control in CONTROLS}


def gathered(returned: Mapping[str, Any], host: str, given: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The findings of all checks by ``host/database``.

    A check that returned no findings for a database, because it failed or the host was not reached, is an ``error``
    under its controls.

    :param returned: by check, the registered result of its loop over the databases; None: it was not asked for.
    :param given: the spec files in the order of the loop, each with its ``database``, its ``name`` and its ``lines``.
    """
    asked = [check for check in CHECKS if returned.get(check) is not None]
    results = {}
    for index, spec in enumerate(given):
        findings: list[dict[str, Any]] = []
        for check in asked:
            findings += _findings(check, _item(returned[check], index), spec)
        results[f"{host}/{spec['database']}"] = {"findings": findings, "not_probed": []}
    return results


def _item(registered: Any, index: int) -> Any:
    """The result of one database; of a host that was not reached there may be one for all."""
    items = registered.get("results") if isinstance(registered, dict) else None
    if not isinstance(items, list):
        return registered
    return items[index] if index < len(items) else None


def _findings(check: str, result: Any, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    given = result.get("findings") if isinstance(result, dict) else None
    if isinstance(given, list) and given:
        try:
            return [Finding.from_dict(item).as_dict() for item in given]
        except (KeyError, TypeError, ValueError) as error:
            reason = f"its result cannot be read: {error!r}"
    else:
        said = str(result.get("msg", "")).strip() if isinstance(result, dict) else ""
        reason = _located(said, spec) or "it returned nothing"
    return [
        Finding(
            control, check, _SEVERITY[control], Status.ERROR, f"Nothing was looked at: {reason}", "Mend it, run again."
        ).as_dict()
        for control in CHECKS[check]
    ]


def _located(said: str, spec: Mapping[str, Any]) -> str:
    """A check that was given a spec file as data knows no lines: ``spec: rls.tables[0]: there is no table ...``."""
    found = re.match(r"spec: ([^\s:]+): ", said)
    where = found[1] if found else ""
    lines = spec.get("lines") or {}
    while where and where not in lines:
        where = re.sub(r"(^|\.)[^.\[]*$|\[\d+\]$", "", where)
    return f"{spec['name']}:{lines[where]}: {said[len('spec: ') :]}" if where else said
