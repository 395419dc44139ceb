# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the catalog alone tells about row-level security: the static rules. Pure.

A rule yields problems. No problem is one finding that passes; what the spec file accepts is waived, with its reason.
The rules about the policies themselves are in :mod:`.judge_policies`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._rls import judge_policies
from ansible_collections.dbops.postgres.plugins.module_utils._rls.cells import CONTROL
from ansible_collections.dbops.postgres.plugins.module_utils._rls.rules import (
    Problem,
    Rule,
    applies,
    permissive,
    protected,
)
from ansible_collections.dbops.postgres.plugins.module_utils._rls.spec import COMMANDS, Accepted, RlsSpec
from ansible_collections.dbops.postgres.plugins.module_utils._rls.state import PUBLIC, RlsState, Table, quoted

_C, _H, _M = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM


def _enabled(state: RlsState, spec: RlsSpec) -> Iterator[Problem]:
    for table in protected(state, spec):
        if table.kind == "f":
            yield Problem(table.full, "a foreign table can have no row-level security", "Give it to no application.")
        elif not table.enabled:
            yield Problem(
                table.full,
                f"row-level security is not enabled{_part(state, table)}",
                f"ALTER TABLE {table.sql} ENABLE ROW LEVEL SECURITY;",
            )


def _forced(state: RlsState, spec: RlsSpec) -> Iterator[Problem]:
    for table in protected(state, spec):
        if table.enabled and not table.forced:
            yield Problem(
                table.full,
                f"row-level security is not forced: its owner {table.owner} sees every row{_part(state, table)}",
                f"ALTER TABLE {table.sql} FORCE ROW LEVEL SECURITY;",
            )


def _part(state: RlsState, table: Table) -> str:
    if table.parent is None or table.parent not in state.tables:
        return ""
    return f"; the policies of {state.tables[table.parent].full} do not hold for who names this table itself"


def _commands(state: RlsState, spec: RlsSpec) -> Iterator[Problem]:
    for table in protected(state, spec):
        mine = [policy for policy in state.policies if policy.table == table.oid]
        if not table.enabled or (table.partition and not mine):
            continue  # a part without any policy is closed on purpose
        for role in state.audience:
            if state.roles[role].superuser or state.roles[role].bypass:
                continue  # needs none
            lacking = [
                command
                for command in COMMANDS
                if state.may(role, table.oid).may(command)
                and not any(applies(state, policy, role) for policy in permissive(mine, command))
            ]
            if lacking:
                yield Problem(
                    table.full,
                    f"{role} may {', '.join(lacking)}, but no policy for that applies to it: it reaches no row",
                    "CREATE POLICY ... FOR the command, or REVOKE the privilege.",
                )


def _nullable(state: RlsState, spec: RlsSpec) -> Iterator[Problem]:
    for table in protected(state, spec):
        column = table.column(spec.tenant_column)
        if column and not column.not_null and not table.partition:
            yield Problem(
                table.full,
                f"{column.name} may be NULL: such a row belongs to nobody, and no policy decides about it",
                f"ALTER TABLE {table.sql} ALTER COLUMN {quoted(column.name)} SET NOT NULL;",
            )


def _bypass(state: RlsState, spec: RlsSpec) -> Iterator[Problem]:
    accepted = {item.name for item in spec.bypass}
    for name in state.audience:
        me = state.roles[name]
        for role in [me, *(state.roles[other] for other in sorted(me.reach) if other in state.roles)]:
            if role.name in accepted or name in accepted or not (role.superuser or role.bypass):
                continue
            what = "a superuser" if role.superuser else "BYPASSRLS"
            how = f"{name} is" if role is me else f"{name} can become {role.name}, which is"
            yield Problem(
                name,
                f"{how} {what}: no policy holds",
                f"ALTER ROLE {quoted(role.name)} NOSUPERUSER NOBYPASSRLS, or REVOKE {quoted(role.name)} FROM the"
                " members between.",
            )


def _owner(state: RlsState, spec: RlsSpec) -> Iterator[Problem]:
    accepted = {item.name for item in spec.bypass}
    owners: dict[str, list[str]] = {}
    for table in protected(state, spec):
        owners.setdefault(table.owner, []).append(table.full)
    for name in state.audience:
        reached = {name, *state.roles[name].reach} & set(owners) - accepted
        for owner in sorted(reached) if name not in accepted else ():
            how = "owns" if owner == name else f"can become {owner}, which owns"
            yield Problem(
                name,
                f"{name} {how} {_listed(owners[owner])}: it can switch row-level security off",
                "Let a role own the tables that no application is a member of.",
            )


def _views(state: RlsState, _spec: RlsSpec) -> Iterator[Problem]:
    for view in state.views:
        if view.materialised or view.invoker or not view.readers:
            continue
        owner = state.roles.get(view.owner)
        tables = [state.tables[oid] for oid in view.tables if oid in state.tables]
        past = bool(owner and (owner.superuser or owner.bypass)) or any(
            table.owner == view.owner and not table.forced for table in tables
        )
        yield Problem(
            f"{view.schema}.{view.name}",
            f"the view reads {_listed([table.full for table in tables])} as its owner {view.owner}"
            + (", for whom no policy holds" if past else "")
            + f", and {_listed(list(view.readers))} may use it",
            f"ALTER VIEW {quoted(view.schema)}.{quoted(view.name)} SET (security_invoker = true); (PostgreSQL 15 and"
            " later)",
            severity=_C if past else _M,
        )


def _materialised(state: RlsState, _spec: RlsSpec) -> Iterator[Problem]:
    for view in state.views:
        if view.materialised and view.readers:
            tables = [state.tables[oid].full for oid in view.tables if oid in state.tables]
            yield Problem(
                f"{view.schema}.{view.name}",
                f"a copy of {_listed(tables)} without policies, and {_listed(list(view.readers))} may read it",
                "REVOKE it, and show it through a view with a condition.",
            )


def _search_path(state: RlsState, _spec: RlsSpec) -> Iterator[Problem]:
    for function in state.functions.values():
        if function.definer and not any(item.startswith("search_path=") for item in function.settings):
            yield Problem(
                f"{function.schema}.{function.signature}",
                f"runs as {function.owner} with the search_path of whoever calls it",
                f"ALTER FUNCTION {function.sql} SET search_path = '';",
                names=(f"{function.schema}.{function.name}", function.name),
            )


def _executable(state: RlsState, _spec: RlsSpec) -> Iterator[Problem]:
    for function in state.functions.values():
        if function.definer and not function.trigger and PUBLIC in function.executable:
            yield Problem(
                f"{function.schema}.{function.signature}",
                f"runs as {function.owner}, and PUBLIC may execute it",
                f"REVOKE EXECUTE ON FUNCTION {function.sql} FROM PUBLIC; GRANT it to who needs it.",
                names=(f"{function.schema}.{function.name}", function.name),
            )


def _keys(state: RlsState, spec: RlsSpec) -> Iterator[Problem]:
    tenant = spec.tenant_column
    for key in state.keys:
        table, target = state.tables[key.table], state.tables[key.target]
        if table.column(tenant) and target.column(tenant) and tenant not in key.columns:
            yield Problem(
                table.full,
                f"foreign key {key.name} to {target.full} leaves {tenant} out: a row may point at a row of another"
                " tenant, and whether it is there can be found out",
                f"FOREIGN KEY ({_names(tenant, *key.columns)}) REFERENCES {target.sql}"
                f" ({_names(tenant, *key.target_columns)}).",
                names=(key.name,),
            )


def _uniques(state: RlsState, spec: RlsSpec) -> Iterator[Problem]:
    tenant = spec.tenant_column
    for unique in state.uniques:
        table = state.tables[unique.table]
        columns = [table.column(name) for name in unique.columns]
        # Nobody guesses a uuid, and a number that is counted up tells no more than how many there are.
        silent = ("uuid", "int2", "int4", "int8") if unique.primary else ("uuid",)
        quiet = any(column and column.base in silent for column in columns)
        if table.column(tenant) and tenant not in unique.columns and not quiet:
            yield Problem(
                table.full,
                f"{unique.name} is unique across tenants: an INSERT that fails tells what another tenant has",
                f"Put {tenant} first into its columns.",
                names=(unique.name,),
            )


def _publications(state: RlsState, _spec: RlsSpec) -> Iterator[Problem]:
    tables: dict[str, list[str]] = {}
    for item in state.publications:
        if not item.filtered:
            tables.setdefault(item.name, []).append(state.tables[item.table].full)
    for name, published in tables.items():
        yield Problem(
            f"publication {name}",
            f"carries {_listed(published)} whole: no policy holds for a subscriber",
            "Publish other tables, or say in the spec file why this one is needed.",
            names=(name,),
        )


def _defaults(state: RlsState, _spec: RlsSpec) -> Iterator[Problem]:
    bodies = [function.body for function in state.functions.values()]
    texts = [text for policy in state.policies for text in (policy.using.text, policy.check.text)]
    used = set(re.findall(r"current_setting\(\s*'([^']+)'", "\n".join([*texts, *bodies])))
    for role, name, value in state.defaults:
        if name in used and value:
            yield Problem(
                "the database" if role == PUBLIC else role,
                f"{name} is preset to {value!r}: every session begins as this tenant",
                f"ALTER ROLE or DATABASE ... RESET {name};",
                names=(name,),
            )


def _beyond(state: RlsState, spec: RlsSpec) -> Iterator[Problem]:
    for table in protected(state, spec):
        for role in (*state.audience, PUBLIC):
            held = sorted({"TRUNCATE", "TRIGGER"} & state.may(role, table.oid).table)
            if held and role != table.owner:
                yield Problem(
                    table.full,
                    f"{role} may {' and '.join(held)}, which no policy limits",
                    f"REVOKE {', '.join(held)} ON {table.sql} FROM {quoted(role)};",
                )


# An application that connects as the owner of its tables is not told from whoever migrates them.
_NOBODY = "no role of an application is known: none but owners and superusers may use the tables"
_DECLARE = "Declare application_roles, or identities, in the spec file."

RULES: tuple[Rule, ...] = (
    Rule("rls_enabled", _C, "Row-level security is enabled on every table of tenants and every part of one", _enabled),
    Rule("rls_forced", _H, "It is forced, so that it holds for owners, too", _forced),
    Rule("policy_commands", _M, "Each command that is granted has a policy", _commands, of_roles=True),
    *judge_policies.RULES,
    Rule("tenant_nullable", _M, "Every row has a tenant", _nullable),
    Rule("bypass_reachable", _C, "No application can become a role for which no policy holds", _bypass, of_roles=True),
    Rule("owner_reachable", _H, "No application can become the owner of a table", _owner, of_roles=True),
    Rule("view_as_owner", _C, "Views read with the rights of who asks", _views),
    Rule("materialised_copy", _H, "No readable materialised view copies the tables", _materialised),
    Rule("definer_search_path", _H, "SECURITY DEFINER functions pin their search_path", _search_path),
    Rule("definer_public", _H, "SECURITY DEFINER functions are not executable by PUBLIC", _executable),
    Rule("foreign_key_across", _M, "Foreign keys stay inside a tenant", _keys),
    Rule("unique_across", _M, "Unique constraints stay inside a tenant", _uniques),
    Rule("published", _M, "No publication carries the tables whole", _publications),
    Rule("tenant_preset", _H, "No session begins with a tenant", _defaults),
    Rule("beyond_policies", _H, "No application may TRUNCATE or make triggers", _beyond, of_roles=True),
)


def judge(state: RlsState, spec: RlsSpec) -> list[Finding]:
    """The findings of every rule."""
    count = len(protected(state, spec))
    if not count:
        why = "no table has a tenant column or policies"
        return [Finding(CONTROL, "tables of tenants", _C, Status.NOT_APPLICABLE, why)]
    found: list[Finding] = []
    for rule in RULES:
        problems = list(rule.find(state, spec))
        for problem in problems:
            waiver = _accepted(spec, rule.name, problem)
            found.append(
                Finding(
                    CONTROL,
                    problem.subject,
                    problem.severity or rule.severity,
                    Status.WAIVED if waiver else Status.FAIL,
                    problem.evidence,
                    problem.remedy,
                    title=rule.name,
                    waiver=waiver.reason if waiver else "",
                )
            )
        if not problems and rule.of_roles and not state.audience:
            found.append(Finding(CONTROL, rule.name, rule.severity, Status.NOT_TESTED, _NOBODY, _DECLARE))
        elif not problems:
            found.append(Finding(CONTROL, rule.name, rule.severity, Status.PASS, f"{rule.holds} ({count} tables)"))
    return found


def _accepted(spec: RlsSpec, rule: str, problem: Problem) -> Accepted | None:
    names = {problem.subject, problem.subject.rpartition(".")[2], *problem.names}
    for item in spec.exempt:
        if item.name in names and (not item.rules or rule in item.rules):
            return item
    return None


def _names(*names: str) -> str:
    return ", ".join(map(quoted, names))


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
