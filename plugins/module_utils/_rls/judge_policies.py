# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The static rules about the conditions of policies. Pure.

A condition separates tenants only if it depends on who asks (a setting, the role, a function of one's own) and on the
row. Which functions it calls is known from its stored tree; how it calls them is read from its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity
from ansible_collections.dbops.postgres.plugins.module_utils._rls.rules import (
    Problem,
    Rule,
    applies_to_audience,
)
from ansible_collections.dbops.postgres.plugins.module_utils._rls.spec import COMMANDS, RlsSpec
from ansible_collections.dbops.postgres.plugins.module_utils._rls.state import (
    PUBLIC,
    Expression,
    Function,
    Policy,
    RlsState,
    Table,
    quoted,
)

_WHO = re.compile(r"\b(CURRENT_USER|SESSION_USER|CURRENT_ROLE|USER)\b")
_TRUE = re.compile(r"\bOR true\b|\btrue OR\b|(?<![\w.])(\w+) = \1(?![\w.(])|^\(?\w+ IS NOT NULL\)?$")
_EDITABLE = re.compile(r"user_metadata|raw_user_meta_data")
_CLOCKS = ("now", "statement_timestamp", "transaction_timestamp", "clock_timestamp", "timeofday", "random")


def _given(state: RlsState) -> Iterator[tuple[Table, Policy]]:
    """Each policy for applications that gives access."""
    for policy in state.policies:
        if policy.permissive and applies_to_audience(state, policy):
            yield state.tables[policy.table], policy


def _limited(state: RlsState, policy: Policy) -> bool:
    """Whether a restrictive policy must hold as well whenever this one counts."""
    commands = COMMANDS if policy.command == "ALL" else (policy.command,)
    narrow = [
        other
        for other in state.policies
        if other.table == policy.table
        and not other.permissive
        and (PUBLIC in other.roles or set(policy.roles) <= set(other.roles))
        and any(depends(state, expression) for expression in (other.using, other.check))
    ]
    return all(any(other.command in ("ALL", command) for other in narrow) for command in commands)


def depends(state: RlsState, expression: Expression) -> bool:
    """Whether it can come out differently for different identities."""
    if not expression.text:
        return False
    called = [state.functions[oid] for oid in expression.functions if oid in state.functions]
    return (
        expression.sublink
        or bool(_WHO.search(expression.text))
        or any(
            function.schema != "pg_catalog" or (function.volatility != "i" and function.name not in _CLOCKS)
            for function in called
        )
    )


def _open_to_all(state: RlsState, spec: RlsSpec, table: Table, policy: Policy) -> bool:
    return policy.command == "SELECT" and spec.open_to_all(state.names(table))


def _subject(table: Table, policy: Policy) -> str:
    return f"{table.full} policy {policy.name}"


def _names(table: Table, policy: Policy) -> tuple[str, ...]:
    return (table.full, table.name, policy.name)


def _always(state: RlsState, spec: RlsSpec) -> Iterator[Problem]:
    for table, policy in _given(state):
        if _limited(state, policy) or _open_to_all(state, spec, table, policy):
            continue
        for clause, expression in (("USING", policy.using), ("WITH CHECK", policy.check)):
            text = expression.text
            if not text or text == "false":
                continue
            why = ""
            if text == "true" or _TRUE.search(text):
                why = "is always true"
            elif not depends(state, expression) and (PUBLIC in policy.roles or not policy.columns):
                why = "does not depend on who asks: it is the same for every tenant"
            if why:
                yield Problem(
                    _subject(table, policy),
                    f"{clause} {_short(text)} {why}",
                    f"ALTER POLICY {quoted(policy.name)} ON {table.sql} {clause} (a comparison of the row with the"
                    " tenant who asks);",
                    names=_names(table, policy),
                )


def _blind(state: RlsState, spec: RlsSpec) -> Iterator[Problem]:
    for table, policy in _given(state):
        if policy.columns or _limited(state, policy) or _open_to_all(state, spec, table, policy):
            continue
        texts = [e.text for e in (policy.using, policy.check) if depends(state, e)]
        if texts:
            yield Problem(
                _subject(table, policy),
                f"{_short(texts[0])} does not look at the row: it gives every row, or none",
                "Compare a column of the row with the tenant who asks.",
                names=_names(table, policy),
            )


def _tenant(state: RlsState, spec: RlsSpec) -> Iterator[Problem]:
    for table, policy in _given(state):
        if (
            table.column(spec.tenant_column)
            and policy.columns
            and spec.tenant_column not in policy.columns
            and not _limited(state, policy)
            and any(depends(state, e) for e in (policy.using, policy.check))
        ):
            yield Problem(
                _subject(table, policy),
                f"looks at {', '.join(policy.columns)}, and not at {spec.tenant_column}",
                f"Compare {spec.tenant_column} as well, or add a restrictive policy that does.",
                names=_names(table, policy),
            )


def _per_row(state: RlsState, _spec: RlsSpec) -> Iterator[Problem]:
    for table, policy in _all(state):
        for expression in (policy.using, policy.check):
            bare = outside_selects(expression.text)
            called = [
                function
                for function in _called(state, expression)
                if function.volatility != "i"
                and (function.schema != "pg_catalog" or function.name == "current_setting")
                and re.search(rf"(?<![\w]){re.escape(function.name)}\(", bare)
            ]
            if called:
                names = ", ".join(f"{function.schema}.{function.name}" for function in called)
                yield Problem(
                    _subject(table, policy),
                    f"calls {names} for each row: {_short(expression.text)}",
                    "Write (SELECT function(...)), which is evaluated once for a statement; if it takes columns of the"
                    " row, turn it round: column IN (SELECT function(...)).",
                    names=_names(table, policy),
                )
                break


def _volatile(state: RlsState, _spec: RlsSpec) -> Iterator[Problem]:
    for table, policy in _all(state):
        called = {
            f"{function.schema}.{function.name}"
            for expression in (policy.using, policy.check)
            for function in _called(state, expression)
            if function.volatility == "v"
        }
        if called:
            yield Problem(
                _subject(table, policy),
                f"calls {', '.join(sorted(called))}, which is VOLATILE: it may answer differently for each row, and no"
                " index is used",
                "Declare it STABLE, if it is.",
                names=_names(table, policy),
            )


def _editable(state: RlsState, _spec: RlsSpec) -> Iterator[Problem]:
    for table, policy in _all(state):
        texts = [("its condition", e.text) for e in (policy.using, policy.check)]
        texts += [
            (f"the function {f.schema}.{f.name}", f.body)
            for e in (policy.using, policy.check)
            for f in _called(state, e)
        ]
        where = next((place for place, text in texts if _EDITABLE.search(text)), None)
        if where:
            yield Problem(
                _subject(table, policy),
                f"{where} trusts user_metadata, which users edit themselves",
                "Use app_metadata, or a table that only the server writes.",
                names=_names(table, policy),
            )


def _lookup(state: RlsState, _spec: RlsSpec) -> Iterator[Problem]:
    seen = set()
    for table, policy in _all(state):
        for oid in policy.tables:
            name, enabled, writers = state.other_tables.get(oid, ("", True, ()))
            if not enabled and writers and (table.oid, oid) not in seen:
                seen.add((table.oid, oid))
                yield Problem(
                    _subject(table, policy),
                    f"asks {name}, which has no row-level security and which {', '.join(writers)} may write: who writes"
                    " there decides what he sees",
                    f"Protect {name}, or REVOKE INSERT, UPDATE on it.",
                    names=(*_names(table, policy), name),
                )


def _all(state: RlsState) -> Iterator[tuple[Table, Policy]]:
    for policy in state.policies:
        yield state.tables[policy.table], policy


def _called(state: RlsState, expression: Expression) -> list[Function]:
    return [state.functions[oid] for oid in expression.functions if oid in state.functions]


def outside_selects(text: str) -> str:
    """A condition without its sub-selects, which are evaluated once if nothing in them comes from the row."""
    kept = []
    position = 0
    while position < len(text):
        if re.match(r"\(\s*SELECT\b", text[position:]):
            depth = 0
            quoted = False
            for end in range(position, len(text)):
                char = text[end]
                quoted ^= char == "'"
                depth += 0 if quoted else (char == "(") - (char == ")")
                if depth == 0 and not quoted:
                    break
            position = end + 1
            continue
        kept.append(text[position])
        position += 1
    return "".join(kept)


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 120 else f"{flat[:117]}..."


RULES = (
    Rule("policy_always_true", Severity.CRITICAL, "No policy gives the same rows to everybody", _always),
    Rule("policy_blind", Severity.HIGH, "Every policy looks at the row", _blind),
    Rule("policy_ignores_tenant", Severity.MEDIUM, "Every policy looks at the tenant of the row", _tenant),
    Rule("policy_per_row", Severity.MEDIUM, "No policy calls a function for each row", _per_row),
    Rule("policy_volatile", Severity.MEDIUM, "No policy calls a VOLATILE function", _volatile),
    Rule("claims_editable", Severity.CRITICAL, "No policy trusts what users edit themselves", _editable),
    Rule("lookup_writable", Severity.CRITICAL, "No policy asks a table that applications may write", _lookup),
)
