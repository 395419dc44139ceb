# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The statements that bring an object to what is expected, where they are safe to say; words where they are not. Pure.

Nothing here is ever executed. No statement drops data, and none rewrites a table or locks it for long.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._schema import repair_table as tables
from ansible_collections.dbops.postgres.plugins.module_utils._schema.compare import MISSING, UNEXPECTED, Difference
from ansible_collections.dbops.postgres.plugins.module_utils._schema.snapshot import OWNER, PUBLIC, Fields
from ansible_collections.dbops.postgres.plugins.module_utils._schema.words import literal, member, role, word

_DEFAULTS = {"function": "EXECUTE", "procedure": "EXECUTE", "aggregate": "EXECUTE", "type": "USAGE"}
_NO_DATA = {
    "function": "DROP FUNCTION {}",
    "procedure": "DROP PROCEDURE {}",
    "aggregate": "DROP AGGREGATE {}",
    "view": "DROP VIEW {}",
    "index": "DROP INDEX CONCURRENTLY {}",
    "statistics": "DROP STATISTICS {}",
    "event_trigger": "DROP EVENT TRIGGER {}",
}
_OF_TABLE = {"trigger": "DROP TRIGGER {} ON {}", "rule": "DROP RULE {} ON {}", "policy": "DROP POLICY {} ON {}"}
_SEQUENCE = {
    "start": "START WITH",
    "minimum": "MINVALUE",
    "maximum": "MAXVALUE",
    "increment": "INCREMENT BY",
    "cache": "CACHE",
}


@dataclass(frozen=True)
class Remedy:
    """What to do about a difference: statements, or words, or both.

    :param whole: whether the statements are all that is needed.
    """

    sql: tuple[str, ...] = ()
    words: str = ""
    whole: bool = True

    @property
    def text(self) -> str:
        """As a finding carries it."""
        return " ".join(
            [*(f"{statement.rstrip(';')};" for statement in self.sql), *([self.words] if self.words else [])]
        )


def remedy(item: Difference) -> Remedy:
    """What to do about a difference."""
    if item.what == MISSING:
        return _missing(item)
    if item.what == UNEXPECTED:
        return _unexpected(item)
    statements: list[str] = []
    words: list[str] = []
    whole = True
    for change in item.changes:
        sql, said = _changed(item, change.field, change.expected, change.actual)
        whole = whole and bool(sql)
        statements += [statement for statement in sql if statement not in statements]
        words += [said] if said and said not in words else []
    return Remedy(tuple(statements), " ".join(words), whole)


def _missing(item: Difference) -> Remedy:
    fields, name = item.expected, item.name
    makers: dict[str, Any] = {
        "index": tables.index,
        "constraint": tables.constraint,
        "column": tables.column,
        "policy": tables.policy,
    }
    if item.kind in makers:
        sql, words = makers[item.kind](name, fields)
        more = [*_grants(item.kind, name, fields, {}), *_comment(item)] if sql else []
        return Remedy((*sql, *more), words, not (item.kind == "column" and fields.get("not_null")))
    made = {
        "schema": f"CREATE SCHEMA {name}",
        "extension": f"CREATE EXTENSION {name} SCHEMA {fields.get('schema')} VERSION {literal(fields.get('version'))}",
        "view": tables.view(name, fields),
        "sequence": "" if fields.get("identity") else f"CREATE SEQUENCE {name} {_parameters(fields)}",
        "default_privileges": "",
    }.get(item.kind)
    if item.kind in ("function", "procedure", "trigger", "rule", "statistics"):
        made = str(fields.get("definition", "")).rstrip().rstrip(";")
    if item.kind == "event_trigger":
        made = _event_trigger(name, fields)
    if item.kind == "type" and fields.get("form") == "enum":
        made = f"CREATE TYPE {name} AS ENUM ({', '.join(literal(label) for label in fields.get('labels', []))})"
    if item.kind == "default_privileges":
        return Remedy(tuple(_default_grants(fields, fields.get("grants", {}), _built_in(fields))))
    if not made:
        return Remedy((), "Run the migration that makes it.")
    public = {PUBLIC: [_DEFAULTS[item.kind]]} if item.kind in _DEFAULTS else {}
    sql = [made, *_grants(item.kind, name, fields, public), *_comment(item)]
    if item.kind in ("trigger", "event_trigger", "rule") and fields.get("enabled") != "origin":
        sql.append(_enable(item, str(fields.get("enabled"))))
    return Remedy(tuple(sql), "Run it as the owner that is expected." if "owner" in fields else "")


def _unexpected(item: Difference) -> Remedy:
    if item.kind == "default_privileges":
        return Remedy(tuple(_default_grants(item.actual, _built_in(item.actual), item.actual.get("grants", {}))))
    keep = "If it is meant, put it into a migration and write the snapshot again."
    if item.kind in _NO_DATA:
        return Remedy((), f"{keep} If not, it goes by: {_NO_DATA[item.kind].format(item.name)};")
    if item.kind in _OF_TABLE:
        of = item.actual.get("of", "")
        drop = _OF_TABLE[item.kind].format(member(item.name, of), of)
        if item.kind == "policy" and item.actual.get("permissive"):
            return Remedy((drop,), f"It lets rows through that the others do not. {keep}")
        return Remedy((), f"{keep} If not, it goes by: {drop};")
    return Remedy((), f"{keep} No statement is given to remove it: it may hold data, or data may depend on it.")


def _changed(item: Difference, field: str, expected: Any, actual: Any) -> tuple[Sequence[str], str]:
    """Statements and words for one field."""
    kind, name = item.kind, item.name
    if field == "owner" and kind in word and expected:
        return [f"ALTER {word[kind]} {name} OWNER TO {role(expected)}"], ""
    if field == "grants":
        if kind == "default_privileges":
            return _default_grants(item.expected, expected or {}, actual or {}), ""
        return _grants(kind, name, item.expected, actual or {}), ""
    if field == "comment":
        return _comment(item, always=True), ""
    if kind in ("function", "procedure") and field in ("definition", "security_definer", "settings", "language"):
        return [str(item.expected.get("definition", "")).rstrip()], ""
    if kind == "sequence" and field in (*_SEQUENCE, "cycle"):
        return [f"ALTER SEQUENCE {name} {_parameters(item.expected, field)}"], ""
    if kind == "extension" and field == "version":
        return [f"ALTER EXTENSION {name} UPDATE TO {literal(expected)}"], "There is a way between some versions only."
    if kind == "type" and field == "labels":
        return _labels(name, expected or [], actual or [])
    if kind in ("trigger", "rule", "event_trigger") and field == "enabled":
        return [_enable(item, str(expected))], ""
    if kind == "trigger" and field == "definition" and not str(expected).startswith("CREATE CONSTRAINT"):
        return [re.sub("^CREATE TRIGGER", "CREATE OR REPLACE TRIGGER", str(expected))], ""
    if kind == "rule" and field == "definition":
        return [re.sub("^CREATE RULE", "CREATE OR REPLACE RULE", str(expected)).rstrip(";")], ""
    if kind == "statistics" and field == "target":
        return [f"ALTER STATISTICS {name} SET STATISTICS {-1 if expected is None else expected}"], ""
    if kind == "publication" and field == "publish":
        return [f"ALTER PUBLICATION {name} SET (publish = {literal(expected or '')})"], ""
    found = tables.changed(item, field, expected, actual)
    return found or ([], f"{field.replace('_', ' ')}: not safe to say in general; write a migration.")


def _grants(kind: str, name: str, expected: Fields, actual: Mapping[str, Sequence[str]]) -> list[str]:
    """GRANT and REVOKE that make the access list of an object the expected one."""
    wanted: Mapping[str, Sequence[str]] = expected.get("grants", {})
    on, columns = f"{_granted(kind)} {name}", ""
    if kind == "column":
        of = expected.get("of", "")
        on, columns = f"TABLE {of}", f" ({member(name, of)})"
    return _access(wanted, actual, lambda privilege: f"{privilege}{columns}", f" ON {on}", "")


def _default_grants(
    fields: Fields, wanted: Mapping[str, Sequence[str]], actual: Mapping[str, Sequence[str]]
) -> list[str]:
    place = f" IN SCHEMA {fields['schema']}" if "schema" in fields else ""
    start = f"ALTER DEFAULT PRIVILEGES FOR ROLE {role(fields['creator'])}{place} "
    return _access(wanted, actual, lambda privilege: privilege, f" ON {fields['objects']}", start)


def _access(
    wanted: Mapping[str, Sequence[str]], actual: Mapping[str, Sequence[str]], shape: Any, on: str, start: str
) -> list[str]:
    option = " WITH GRANT OPTION"
    found = []
    for grantee in sorted({*wanted, *actual} - {OWNER}):
        new = {p for p in wanted.get(grantee, []) if p not in actual.get(grantee, [])}
        kept = {p.replace(option, "") for p in wanted.get(grantee, [])}
        old = [p for p in actual.get(grantee, []) if p not in wanted.get(grantee, [])]
        for suffix in ("", option):
            given = sorted(p.replace(option, "") for p in new if p.endswith(option) == bool(suffix))
            regranted = [p for p in given if f"{p}{option}" not in old]
            if regranted:
                found.append(f"{start}GRANT {', '.join(map(shape, regranted))}{on} TO {role(grantee)}{suffix}")
        gone = sorted(p.replace(option, "") for p in old if p.replace(option, "") not in kept)
        less = sorted(p.replace(option, "") for p in old if p.endswith(option) and p.replace(option, "") in kept)
        if gone:
            found.append(f"{start}REVOKE {', '.join(map(shape, gone))}{on} FROM {role(grantee)}")
        if less:
            found.append(f"{start}REVOKE GRANT OPTION FOR {', '.join(map(shape, less))}{on} FROM {role(grantee)}")
    return found


def _granted(kind: str) -> str:
    if kind in ("table", "foreign_table", "view", "materialized_view"):
        return "TABLE"
    return {"aggregate": "FUNCTION", "foreign_server": "FOREIGN SERVER"}.get(kind, word.get(kind, "TABLE"))


def _built_in(fields: Fields) -> Mapping[str, Sequence[str]]:
    """What PUBLIC has where no default privileges say otherwise; those of a schema only add to it."""
    built_in = {"FUNCTIONS": ["EXECUTE"], "TYPES": ["USAGE"]}.get(str(fields.get("objects")))
    return {PUBLIC: built_in} if built_in and "schema" not in fields else {}


def _comment(item: Difference, *, always: bool = False) -> list[str]:
    text = item.expected.get("comment")
    return [f"COMMENT ON {_commented(item)} IS {literal(text)}"] if text is not None or always else []


def _commented(item: Difference) -> str:
    of = item.expected.get("of", "")
    if item.kind in ("constraint", "trigger", "policy", "rule"):
        return f"{item.kind.upper()} {member(item.name, of)} ON {of}"
    return f"{word.get(item.kind, item.kind.replace('_', ' ').upper())} {item.name}"


def _parameters(fields: Fields, only: str = "") -> str:
    parts = [f"{text} {fields[key]}" for key, text in _SEQUENCE.items() if key in fields and only in ("", key)]
    if only in ("", "cycle"):
        parts.append("CYCLE" if fields.get("cycle") else "NO CYCLE")
    return " ".join([*([f"AS {fields['type']}"] if not only and "type" in fields else []), *parts])


def _enable(item: Difference, state: str) -> str:
    how = {"origin": "ENABLE", "disabled": "DISABLE", "replica": "ENABLE REPLICA"}.get(state, "ENABLE ALWAYS")
    if item.kind == "event_trigger":
        return f"ALTER EVENT TRIGGER {item.name} {how}"
    of = item.expected.get("of", "")
    return f"ALTER TABLE {of} {how} {item.kind.upper()} {member(item.name, of)}"


def _event_trigger(name: str, fields: Fields) -> str:
    tags = ", ".join(literal(tag) for tag in fields.get("tags", []))
    when = f" WHEN TAG IN ({tags})" if tags else ""
    return f"CREATE EVENT TRIGGER {name} ON {fields.get('event')}{when} EXECUTE FUNCTION {fields.get('function')}()"


def _labels(name: str, expected: Sequence[str], actual: Sequence[str]) -> tuple[Sequence[str], str]:
    """ADD VALUE where only labels are missing; a label cannot be taken away."""
    if [label for label in expected if label in actual] != list(actual):
        return [], "A label of an enum cannot be removed or moved: make a new type and change the columns to it."
    found = []
    for position, label in enumerate(expected):
        if label not in actual:
            before = expected[position - 1] if position else None
            place = f"AFTER {literal(before)}" if before else f"BEFORE {literal(actual[0])}" if actual else ""
            found.append(f"ALTER TYPE {name} ADD VALUE {literal(label)} {place}".rstrip())
    return found, ""
