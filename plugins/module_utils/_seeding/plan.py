# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Desired x observed -> the statements that make the guard so, or remove it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable

from ansible_collections.dbops.postgres.plugins.module_utils._plan import Change, DbopsError, Ident, Plan, Sql, Step
from ansible_collections.dbops.postgres.plugins.module_utils._seeding import statements as st
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.observe import Guard, Held
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.spec import GuardSpec, environment_of

CORE = "guard"


def plan(spec: GuardSpec, seen: Guard) -> Plan:
    """What has to be done.

    :raises DbopsError: a schema or role is not there, or nobody says which environment this is.
    """
    if not spec.present:
        return _removal(spec, seen)
    if seen.missing_schemas:
        raise DbopsError(f"There is no schema {', '.join(seen.missing_schemas)}", "Create it first, or leave it out.")
    if seen.missing_roles:
        raise DbopsError(f"There is no role {', '.join(seen.missing_roles)}", "Create it first, or leave it out.")
    if not environment_of(seen.cluster_name, spec.environment):
        raise DbopsError(
            f"The server does not say which environment it is (cluster_name = {seen.cluster_name or 'empty'}), "
            "so the guard would refuse everywhere",
            "Declare server_environment of the role server, or, where cluster_name cannot be set, environment.",
        )
    found = _Found()
    _functions(found, spec, seen)
    for name in st.EVENT_TRIGGERS:
        _event_trigger(found, name, seen.event_triggers.get(name))
    for (schema, table), triggers in seen.tables.items():
        guarded = schema in spec.schemas and f"{schema}.{table}" not in spec.exempt
        _table(found, schema, table, triggers, spec, guarded)
    return found.plan()


class _Found:
    """The steps and changes so far."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.changes: list[Change] = []

    def add(self, subject: str, *statements: Sql) -> None:
        self.steps += [Step(subject, statement) for statement in statements]

    def change(self, subject: str, before: str | None, after: str | None) -> None:
        self.changes.append(Change(subject, before, after))

    def plan(self) -> Plan:
        return Plan(tuple(self.steps), tuple(self.changes))


def _functions(found: _Found, spec: GuardSpec, seen: Guard) -> None:
    callers = {*spec.seed_roles, *spec.allowed_roles, *spec.callers}
    if seen.schema_grantees is None:
        found.add(CORE, Sql("CREATE SCHEMA {}", (Ident(st.SCHEMA),)))
        found.change(f"schema {st.SCHEMA}", None, "present")
    _grants(found, Sql("SCHEMA {}", (Ident(st.SCHEMA),)), "USAGE", seen.schema_grantees or frozenset(), callers, seen)
    if seen.settings is None or json.loads(seen.settings) != json.loads(spec.settings):
        found.add(CORE, st.create_settings(spec.settings))
        found.change("settings of the guard", seen.settings, spec.settings)
    for function in (None, *st.FUNCTIONS):
        name = function.name if function else st.SETTINGS
        held = seen.functions.get(name)
        if function and (held is None or not _as_made(held, function)):
            found.add(CORE, st.create_function(function))
            found.change(f"function {st.SCHEMA}.{name}", "another text" if held else None, "present")
        allowed = callers if function and function.open else set()
        # A new function is everybody's to call (manual, 5.8).
        held_by = held.grantees if held else frozenset(["PUBLIC"])
        _grants(found, Sql("FUNCTION {}", (st.named(name),)), "EXECUTE", held_by, allowed, seen)


def _as_made(held: Held, function: st.Function) -> bool:
    settings = ('search_path=""',) if function.definer else ()
    return (held.body, held.definer, held.settings) == (function.body, function.definer, settings)


def _grants(found: _Found, what: Sql, privilege: str, held: frozenset[str], wanted: Iterable[str], seen: Guard) -> None:
    # In the schema, others may have granted what their own objects need.
    extra = sorted(held - set(wanted)) if privilege == "EXECUTE" or not seen.others else []
    for role in extra:
        who = Sql("PUBLIC") if role == "PUBLIC" else Ident(role)
        found.add(CORE, Sql("REVOKE ALL ON {} FROM {}", (what, who)))
    for role in sorted(set(wanted) - held):
        found.add(CORE, Sql(f"GRANT {privilege} ON {{}} TO {{}}", (what, Ident(role))))
        found.change(f"{privilege} of {role}", None, "granted")


def _event_trigger(found: _Found, name: str, always: bool | None) -> None:
    create, enable = st.create_event_trigger(name)
    if always is None:
        found.add(CORE, create, enable)
        found.change(f"event trigger {name}", None, "always fires")
    elif not always:
        found.add(CORE, enable)
        found.change(f"event trigger {name}", "not always fires", "always fires")


def _table(
    found: _Found,
    schema: str,
    name: str,
    triggers: dict[str, tuple[bool, tuple[str, ...]]],
    spec: GuardSpec,
    guarded: bool,
) -> None:
    table, subject = Ident(schema, name), f"table {schema}.{name}"
    wanted: dict[str, tuple[tuple[str, ...], Sql]] = {}
    if guarded:
        wanted[st.TRUNCATE_TRIGGER] = ((), st.create_truncate_trigger(table))
        if spec.seed_roles:
            arguments = (spec.environment, *spec.seed_roles)
            wanted[st.SEED_TRIGGER] = (arguments, st.create_seed_trigger(table, arguments))
    for trigger in (st.TRUNCATE_TRIGGER, st.SEED_TRIGGER):
        there = triggers.get(trigger)
        want = wanted.get(trigger)
        enable = Sql("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}", (table, Ident(trigger)))
        if there and (want is None or there[1] != want[0]):
            found.add(subject, Sql("DROP TRIGGER {} ON {}", (Ident(trigger), table)))
        if want and (there is None or there[1] != want[0]):
            found.add(subject, want[1], enable)
        elif want and there and not there[0]:
            found.add(subject, enable)
        before = _said(there[0], there[1]) if there else None
        after = _said(True, want[0]) if want else None
        if before != after:
            found.change(f"{trigger} on {schema}.{name}", before, after)


def _said(always: bool, arguments: tuple[str, ...]) -> str:
    return ("always fires" if always else "disabled") + (f" for {', '.join(arguments[1:])}" if arguments else "")


def _removal(spec: GuardSpec, seen: Guard) -> Plan:
    found = _Found()
    for (schema, name), triggers in seen.tables.items():
        _table(found, schema, name, triggers, spec, guarded=False)
    for name in seen.event_triggers:
        found.add(CORE, Sql("DROP EVENT TRIGGER {}", (Ident(name),)))
        found.change(f"event trigger {name}", "present", None)
    ours = [function.name for function in st.FUNCTIONS] + [st.SETTINGS]
    for name in [name for name in ours if name in seen.functions]:
        found.add(CORE, Sql("DROP FUNCTION {}", (st.named(name),)))
        found.change(f"function {st.SCHEMA}.{name}", "present", None)
    if seen.functions and not seen.others and set(seen.functions) <= set(ours):
        found.add(CORE, Sql("DROP SCHEMA {}", (Ident(st.SCHEMA),)))
        found.change(f"schema {st.SCHEMA}", "present", None)
    return found.plan()
