# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The safe way, written out as SQL with the names of the statement in question. Pure.

A text may hold several migrations; each begins with ``-- migration N``. Every text passes the lint itself.
"""

# ruff: noqa: S608 - text for people, with quoted names; nothing here is executed

from __future__ import annotations

from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.grammar import scan
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.nodes import (
    Name,
    object_name,
    quoted,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import FLYWAY, PLAIN

_ALONE = {
    PLAIN: "-- dbops: no-transaction",
    FLYWAY: "-- in a file of its own, beside it <file>.sql.conf with: executeInTransaction=false",
}


def alone(layout: str, sql: str) -> str:
    """A statement that no transaction may surround, with what the tool needs to be told."""
    return f"{_ALONE.get(layout, '-- in a file of its own: two statements would be one transaction')}\n{sql};"


def steps(*migrations: str) -> str:
    """Several migrations, one after the other."""
    return "\n".join(f"-- migration {number}\n{sql}" for number, sql in enumerate(migrations, 1))


UNNEEDED_SINCE = "<the migration since which nothing needs it>"


def later(migration: str, sql: str) -> str:
    """A contract step: not before the code that needs it is gone.

    :param migration: what has made it unneeded; :data:`UNNEEDED_SINCE` where only a person knows that.
    """
    return f"-- later, when no running code needs it any more\n-- dbops: contracts {migration}\n{sql}"


def index_concurrently(layout: str, text: str, name: str = "") -> str:
    """The same CREATE INDEX without keeping writers out, word for word.

    :param name: for an index that has none, so that one left invalid by a failure can be found.
    """
    tokens = scan(text)
    index = next(token for token in tokens if token.name == "INDEX")
    before = next(token for token in tokens if token.name == "ON").start
    head, middle, rest = text[: index.end + 1], text[index.end + 1 : before].strip(), text[before:]
    return alone(layout, " ".join(part for part in (head, "CONCURRENTLY", middle or quoted(name), rest) if part))


def not_valid(table: Name, constraint: str, definition: str) -> str:
    """A check or a foreign key: new rows are looked at from now on, old ones later, without keeping writers out."""
    return steps(
        f"ALTER TABLE {table.sql} ADD CONSTRAINT {quoted(constraint)} {definition} NOT VALID;",
        f"ALTER TABLE {table.sql} VALIDATE CONSTRAINT {quoted(constraint)};",
    )


def set_not_null(table: Name, column: str) -> str:
    """A validated check proves it, so that the table is not read under the lock."""
    name = quoted(object_name(table.name, column, "not_null"))
    alter = f"ALTER TABLE {table.sql}"
    return steps(
        f"{alter} ADD CONSTRAINT {name} CHECK ({quoted(column)} IS NOT NULL) NOT VALID;",
        f"{alter} VALIDATE CONSTRAINT {name};",
        f"{alter} ALTER COLUMN {quoted(column)} SET NOT NULL;\n{alter} DROP CONSTRAINT {name};",
    )


def unique(layout: str, table: Name, constraint: str, columns: list[str], primary: bool) -> str:
    """The index first, without keeping writers out; the constraint then takes it over."""
    listed = ", ".join(map(quoted, columns))
    kind = "PRIMARY KEY" if primary else "UNIQUE"
    index = f"CREATE UNIQUE INDEX CONCURRENTLY {quoted(constraint)} ON {table.sql} ({listed})"
    name = quoted(constraint)
    takes_over = f"ALTER TABLE {table.sql} ADD CONSTRAINT {name} {kind} USING INDEX {name};"
    return steps(alone(layout, index), takes_over)


def backfill(layout: str, table: Name, assignment: str, where: str) -> str:
    """In batches, each its own transaction, so that no lock is held long and vacuum keeps up.

    :param where: rows to be filled; the assignment must take a row out of it, or the loop never ends.
    """
    name = table.sql
    return alone(
        layout,
        f"""DO $$
BEGIN
  LOOP
    UPDATE {name} SET {assignment}
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM {name} WHERE {where} LIMIT 10000 FOR UPDATE));
    EXIT WHEN NOT FOUND;
    COMMIT;
  END LOOP;
END $$""",
    )


def in_batches(layout: str, table: Name, command: str, row: str = "") -> str:
    """The rows that are meant, by a condition that somebody has thought of; until then it touches none.

    :param command: DELETE or UPDATE up to its WHERE.
    :param row: what ``ctid`` is of, where the command names several tables.
    """
    name = table.sql
    # Each row must leave the condition, or the loop never ends.
    which = (
        "false /* which rows? not those that are done */" if command.startswith("UPDATE") else "false /* which rows? */"
    )
    return alone(
        layout,
        f"""DO $$
BEGIN
  LOOP
    {command}
    WHERE {row}ctid = ANY (ARRAY(SELECT ctid FROM {name} WHERE {which} LIMIT 10000 FOR UPDATE));
    EXIT WHEN NOT FOUND;
    COMMIT;
  END LOOP;
END $$""",
    )


def replace_column(layout: str, migration: str, table: Name, old: str, new: str, type_sql: str, value: str) -> str:
    """A new column beside the old one, kept in step by a trigger whichever of them code writes.

    :param value: what the new column is computed from, in terms of the old one.
    """
    source, target = quoted(old), quoted(new)
    function = Name(table.schema, object_name(table.name, new, "in_step")).sql
    trigger = quoted(object_name(table.name, new, "in_step"))
    expand = f"""ALTER TABLE {table.sql} ADD COLUMN {target} {type_sql};
CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.{target} IS NULL THEN
      NEW.{target} := NEW.{source};
    ELSE
      NEW.{source} := NEW.{target};
    END IF;
  -- As text: not every type has an operator to compare with.
  ELSIF NEW.{source}::text IS DISTINCT FROM OLD.{source}::text THEN
    NEW.{target} := NEW.{source};
  -- Not while the new column is filled for the first time.
  ELSIF NEW.{target}::text IS DISTINCT FROM OLD.{target}::text
    AND (OLD.{target} IS NOT NULL OR OLD.{source} IS NULL) THEN
    NEW.{source} := NEW.{target};
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON {table.sql}
  FOR EACH ROW EXECUTE FUNCTION {function}();"""
    contract = f"""DROP TRIGGER {trigger} ON {table.sql};
DROP FUNCTION {function}();
ALTER TABLE {table.sql} DROP COLUMN {source};"""
    return steps(
        expand,
        backfill(layout, table, f"{target} = {value}", f"{target} IS NULL AND ({value}) IS NOT NULL"),
        later(migration, contract),
    )


def drop_column(migration: str, table: Name, column: str) -> str:
    """First nothing may need it, then it goes."""
    alter = f"ALTER TABLE {table.sql}"
    return steps(
        f"{alter} ALTER COLUMN {quoted(column)} DROP NOT NULL; -- code that does not write it can go live",
        later(migration, f"{alter} DROP COLUMN {quoted(column)};"),
    )


def view_options(version: int) -> str:
    """Rights and policies of the one who asks, not of the one who made the view."""
    return " WITH (security_invoker = true)" if version >= 15 else ""


def rename_table(migration: str, old: Name, new: str, version: int) -> str:
    """A view with the new name, which one can also write, until no code uses the old one."""
    view = Name(old.schema, new).sql
    return steps(
        f"CREATE VIEW {view}{view_options(version)} AS SELECT * FROM {old.sql}; -- code moves to the new name",
        later(migration, f"DROP VIEW {view};\nALTER TABLE {old.sql} RENAME TO {quoted(new)};"),
    )


def lookup_table(enum: Name, values: list[str]) -> str:
    """A table in place of an ENUM: a new value is a row, and a value can go out of use."""
    table = Name(enum.schema, object_name(enum.name, "lookup"))
    rows = ",\n  ".join("('" + value.replace("'", "''") + "')" for value in values)
    fill = f"\nINSERT INTO {table.sql} (name) VALUES\n  {rows};" if values else ""
    return f"""CREATE TABLE {table.sql} (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  description text NOT NULL DEFAULT '',
  is_active boolean NOT NULL DEFAULT true
);{fill}"""
