# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of :mod:`.repair` for tables and what belongs to them. Each gives statements and words. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._schema.compare import Difference
from ansible_collections.dbops.postgres.plugins.module_utils._schema.snapshot import Fields
from ansible_collections.dbops.postgres.plugins.module_utils._schema.words import member, role, word

Said = tuple[Sequence[str], str]


def index(name: str, fields: Fields) -> Said:
    """An index beside writers; of a partitioned table it takes a statement for each partition."""
    definition = str(fields.get("definition", ""))
    if " ON ONLY " in definition or "partition_of" in fields:
        return [], "Build it concurrently on each partition, then on the parent with ON ONLY, and attach them."
    concurrent = re.sub("^CREATE (UNIQUE )?INDEX ", r"CREATE \1INDEX CONCURRENTLY ", definition)
    unique = "It fails while there are duplicates, and leaves an invalid index." if "UNIQUE INDEX" in definition else ""
    return [concurrent], unique


def constraint(name: str, fields: Fields) -> Said:
    """A check or foreign key is added without a look at the rows, then validated beside writers."""
    of = fields.get("of", "")
    own = member(name, of)
    if fields.get("type") in ("check", "foreign key"):
        added = f"ALTER TABLE {of} ADD CONSTRAINT {own} {fields.get('definition')} NOT VALID"
        validated = [f"ALTER TABLE {of} VALIDATE CONSTRAINT {own}"] if fields.get("validated") else []
        return [added, *validated], "Validating fails while a row violates it." if validated else ""
    found = re.fullmatch(r"(PRIMARY KEY|UNIQUE) (\([^()]*\))", str(fields.get("definition", "")))
    if not found:
        return [], "Build its index concurrently, then add the constraint with USING INDEX."
    return [
        f"CREATE UNIQUE INDEX CONCURRENTLY {own} ON {of} {found[2]}",
        f"ALTER TABLE {of} ADD CONSTRAINT {own} {found[1]} USING INDEX {own}",
    ], "The index fails while there are duplicates." + (
        " Its columns must be NOT NULL first." if found[1] == "PRIMARY KEY" else ""
    )


def column(name: str, fields: Fields) -> Said:
    """A nullable column is added at once; its default counts for later rows only."""
    of = fields.get("of", "")
    own = member(name, of)
    if fields.get("generated") or fields.get("identity") or "nextval(" in str(fields.get("default", "")):
        return [], "Adding it rewrites the table: add it nullable, fill it in batches, see the lint of migrations."
    collate = f" COLLATE {fields['collation']}" if "collation" in fields else ""
    statements = [f"ALTER TABLE {of} ADD COLUMN {own} {fields.get('type')}{collate}"]
    if "default" in fields:
        statements.append(f"ALTER TABLE {of} ALTER COLUMN {own} SET DEFAULT {fields['default']}")
    for field in ("statistics", "storage", "compression"):
        if field in fields:
            statements.append(f"ALTER TABLE {of} ALTER COLUMN {own} SET {field.upper()} {fields[field]}")
    return statements, "It is expected NOT NULL: fill it in batches before that." if fields.get("not_null") else ""


def policy(name: str, fields: Fields) -> Said:
    """The policy as it is expected."""
    of = fields.get("of", "")
    parts = [
        f"CREATE POLICY {member(name, of)} ON {of}",
        "AS PERMISSIVE" if fields.get("permissive") else "AS RESTRICTIVE",
        f"FOR {fields.get('command', 'ALL')}",
        f"TO {', '.join(role(item) for item in fields.get('roles', ['PUBLIC']))}",
        *_expressions(fields),
    ]
    return [" ".join(parts)], ""


def _expressions(fields: Fields) -> list[str]:
    using = [f"USING ({fields['using']})"] if "using" in fields else []
    return [*using, *([f"WITH CHECK ({fields['check']})"] if "check" in fields else [])]


def view(name: str, fields: Fields) -> str:
    """The view, in place of one with the same columns."""
    pairs = ", ".join(f"{key}={value}" for key, value in fields.get("options", {}).items())
    options = f" WITH ({pairs})" if pairs else ""
    return f"CREATE OR REPLACE VIEW {name}{options} AS{_spaced(str(fields.get('definition', '')).rstrip(';'))}"


def _spaced(text: str) -> str:
    return text if text.startswith(" ") else f" {text}"


def changed(item: Difference, field: str, expected: Any, actual: Any) -> Said | None:
    """What to do about one field of a table or of what belongs to one; None: nothing is known."""
    handlers = {
        "table": _table,
        "column": _column,
        "constraint": _constraint,
        "index": _index,
        "policy": _policy,
        "view": _view,
        "materialized_view": _materialized,
    }
    return handlers[item.kind](item, field, expected, actual) if item.kind in handlers else None


def _table(item: Difference, field: str, expected: Any, actual: Any) -> Said | None:
    if field in ("row_security", "force_row_security"):
        force = "FORCE " if field.startswith("force") else ""
        if expected:
            return [
                f"ALTER TABLE {item.name} {force or 'ENABLE '}ROW LEVEL SECURITY"
            ], "Without a policy that fits, nobody sees a row." if not force else ""
        return [], "Row-level security is on and not expected: that protects. Make it the expected state."
    if field in ("options", "toast_options"):
        prefix = "toast." if field.startswith("toast") else ""
        return _options("TABLE", item.name, expected, actual, prefix), ""
    if field == "replica_identity":
        how = {"full": "FULL", "nothing": "NOTHING", None: "DEFAULT"}.get(expected)
        return ([f"ALTER TABLE {item.name} REPLICA IDENTITY {how}"] if how else []), ""
    return None


def _options(kind: str, name: str, expected: Any, actual: Any, prefix: str = "") -> list[str]:
    new, old = expected or {}, actual or {}
    given = ", ".join(f"{prefix}{key} = {value}" for key, value in new.items() if old.get(key) != value)
    gone = ", ".join(f"{prefix}{key}" for key in old if key not in new)
    return [
        *([f"ALTER {kind} {name} SET ({given})"] if given else []),
        *([f"ALTER {kind} {name} RESET ({gone})"] if gone else []),
    ]


def _column(item: Difference, field: str, expected: Any, actual: Any) -> Said | None:
    of = item.expected.get("of", "")
    own = member(item.name, of)
    alter = f"ALTER TABLE {of} ALTER COLUMN {own}"
    if field == "default":
        return [f"{alter} DROP DEFAULT" if expected is None else f"{alter} SET DEFAULT {expected}"], ""
    if field == "not_null":
        if not expected:
            return [f"{alter} DROP NOT NULL"], ""
        check = '"dbops_not_null"'
        return [
            f"ALTER TABLE {of} ADD CONSTRAINT {check} CHECK ({own} IS NOT NULL) NOT VALID",
            f"ALTER TABLE {of} VALIDATE CONSTRAINT {check}",
            f"{alter} SET NOT NULL",
            f"ALTER TABLE {of} DROP CONSTRAINT {check}",
        ], "Validating fails while a row is null."
    if field == "statistics":
        return [f"{alter} SET STATISTICS {-1 if expected is None else expected}"], ""
    if field == "options":
        return [text.replace("ALTER COLUMN x", alter) for text in _options("COLUMN", "x", expected, actual)], ""
    if field == "storage" and expected:
        return [f"{alter} SET STORAGE {expected}"], "It counts for later rows only."
    if field == "compression":
        return [f"{alter} SET COMPRESSION {expected or 'default'}"], "It counts for later rows only."
    if field == "type":
        return [], "Another type can rewrite the table or lose data: write a migration, and let it be linted."
    return None


def _constraint(item: Difference, field: str, expected: Any, _actual: Any) -> Said | None:
    of = item.expected.get("of", "")
    if field == "validated" and expected:
        return [f"ALTER TABLE {of} VALIDATE CONSTRAINT {member(item.name, of)}"], "It fails while a row violates it."
    if field == "not_enforced_by_triggers" and not expected:
        return [f"ALTER TABLE {of} ENABLE TRIGGER ALL"], (
            "Rows written meanwhile were not checked: find those without their key first. ALL enables also triggers "
            "of your own that are meant to be disabled."
        )
    if field == "definition":
        return [], "Add the expected one under a new name as NOT VALID, validate it, then drop the old one."
    return None


def _index(item: Difference, field: str, expected: Any, _actual: Any) -> Said | None:
    of = item.expected.get("of", "")
    if field == "valid" and expected:
        return [f"REINDEX INDEX CONCURRENTLY {item.name}"], ""
    if field == "replica_identity" and expected:
        own = item.name.rpartition(".")[2]
        return [f"ALTER TABLE {of} REPLICA IDENTITY USING INDEX {own}"], ""
    if field == "definition":
        return [], "Build the expected one concurrently under a new name, drop the old one concurrently, rename it."
    return None


def _policy(item: Difference, field: str, _expected: Any, _actual: Any) -> Said | None:
    of = item.expected.get("of", "")
    own = member(item.name, of)
    only_altered = {"roles", "using", "check", "comment"}
    gone = any(change.expected is None for change in item.changes if change.field in ("using", "check"))
    if {change.field for change in item.changes} <= only_altered and not gone:
        to = ", ".join(role(name) for name in item.expected.get("roles", ["PUBLIC"]))
        return [" ".join([f"ALTER POLICY {own} ON {of} TO {to}", *_expressions(item.expected)])], ""
    made, _words = policy(item.name, item.expected)
    return ["BEGIN", f"DROP POLICY {own} ON {of}", *made, "COMMIT"], ""


def _view(item: Difference, field: str, expected: Any, actual: Any) -> Said | None:
    if field == "options":
        return _options("VIEW", item.name, expected, actual), ""
    if field == "definition":
        return [view(item.name, item.expected)], "PostgreSQL refuses it if a column went or changed its type."
    return None


def _materialized(item: Difference, field: str, _expected: Any, _actual: Any) -> Said | None:
    if field == "definition":
        return [], f"Make it anew under another {word['materialized_view'].lower()} name, fill it, then rename it."
    return None
