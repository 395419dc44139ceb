# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of the lint over a folder: read the files, ask squawk once, judge. What a module and the migration call."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint import grammar
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.approvals import Approval, from_list
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.contract import Live
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.found import LintFinding
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.judge import (
    Options,
    chosen,
    lint,
    read_all,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.nodes import Name
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.squawk import rule_names
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.squawk_run import find_squawk, run_squawk
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import COMMAND, Source
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError


@dataclass(frozen=True)
class Outcome:
    """What a run found.

    :param judged: the files that were looked at, relative to the source.
    :param nothing: why nothing was looked at; None: something was.
    """

    findings: tuple[LintFinding, ...]
    judged: tuple[str, ...]
    nothing: Finding | None = None


def missing(with_squawk: bool = True) -> str:
    """What has to be installed before the lint can run; empty: nothing."""
    if grammar.PROBLEM:
        return "pglast"
    return "squawk-cli" if with_squawk and not find_squawk() else ""


def lint_source(source: Source, options: Options, with_squawk: bool = True) -> Outcome:
    """Judge the migrations of a source.

    :raises DbopsError: squawk failed, or is not there.
    """
    lacking = missing(with_squawk)
    if lacking:
        raise DbopsError(f"{lacking} is not installed where the lint runs", f"Install it: pip install {lacking}")
    judged = chosen(source, options)
    readings = read_all(source)
    texts = {
        reading.migration.path: (reading.migration.sql, reading.in_transaction)
        for reading in readings
        if reading.migration.id in judged and reading.script is not None
    }
    notes = run_squawk(find_squawk(), texts, options.version) if with_squawk else []
    findings = lint(source, readings, notes, options)
    files = tuple(m.path for m in source.migrations if m.id in judged)
    return Outcome(tuple(findings), files, None if findings or files else _nothing(source, options))


def _nothing(source: Source, options: Options) -> Finding:
    if source.layout == COMMAND:
        said = "The migrations are made by a command, not by files: there is nothing to read."
        return Finding("E-4", "migrations", Severity.HIGH, Status.NOT_TESTED, said)
    said = "None of the files is a migration." if options.only is not None else "Every migration is applied already."
    return Finding("E-4", "migrations", Severity.HIGH, Status.NOT_APPLICABLE, said)


def options_from(params: Mapping[str, Any], source: Source, now: datetime.datetime) -> Options:
    """The module's parameters as options.

    :raises DbopsError: one of them is wrong, with its name.
    """
    history = params.get("history")
    applied = None if history is None else {str(row["id"]): _moment(row, now) for row in history}
    checksums = {str(row["id"]): str(row.get("checksum") or "") for row in history or ()}
    only = params.get("only")
    return Options(
        live=Live(now, params["contract_after_days"], applied),
        version=params["postgresql_version"],
        enum_allowed=frozenset(params["enum_allowed"]),
        reference_tables=frozenset(_name(text) for text in params["reference_tables"]),
        only=None if only is None else frozenset(relative(params["path"], only)),
        checksums=checksums,
        approvals=tuple(_approvals(params.get("approvals_file"), params["path"], source)),
    )


def _name(text: str) -> Name:
    schema, _dot, name = text.rpartition(".")
    return Name("" if schema == "public" else schema, name)


def _moment(row: Mapping[str, Any], now: datetime.datetime) -> datetime.datetime:
    text = str(row["applied_at"]).strip().replace("Z", "+00:00").replace(" UTC", "+00:00")
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise DbopsError(
            f"history: applied_at of {row['id']} is not a time: {row['applied_at']!r}",
            "Write it as 2026-11-25T03:15:00Z.",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)


def relative(root: str, files: Iterable[str]) -> list[str]:
    """Files of a repository, as CI names them, relative to the source; those outside of it are left out."""
    base = os.path.abspath(root)
    found = []
    for file in files:
        candidates = [os.path.abspath(file), os.path.join(base, file)]
        inside = [path for path in candidates if path.startswith(base + os.sep)]
        existing = [path for path in inside if os.path.exists(path)]
        if existing or inside:
            found.append(os.path.relpath((existing or inside)[0], base).replace(os.sep, "/"))
    return found


def _approvals(path: str | None, root: str, source: Source) -> Sequence[Approval]:
    if not path:
        return ()
    try:
        import yaml
    except ImportError:
        raise DbopsError("PyYAML is not installed where the lint runs", "Install it: pip install PyYAML") from None
    try:
        with open(path, encoding="utf-8") as file:
            entries = yaml.safe_load(file)
    except OSError as error:
        raise DbopsError(f"Cannot read approvals_file {path}: {error.strerror}", "Correct the path.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DbopsError(f"approvals_file {path} is not YAML: {error}", "Correct it.") from None
    approvals = from_list(entries if entries is not None else [], path, rule_names())
    known = {migration.path for migration in source.migrations}
    result = []
    for approval in approvals:
        inside = [file for file in relative(root, [approval.file]) if file in known]
        if not inside:
            raise DbopsError(
                f"{approval.place} names {approval.file}, which is no migration of {root}",
                "Correct the name of the file, or remove the entry.",
            )
        result.append(approval.in_file(inside[0]))
    return result
