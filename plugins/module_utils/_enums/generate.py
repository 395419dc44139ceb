# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The migrations that turn an ENUM column into a key of a lookup table, as statements. Pure.

Expand: the table of values, the key beside the column, a trigger that keeps both in step whoever writes which; the
rows that are there, in batches; indexes; the proof. Contract: the column goes. Each has its way back.

Batches are ranges of pages, not of a key: that needs no particular primary key, and rows that move out of a range have
been written, so the trigger has filled them.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._enums.spec import Column, Index, Names
from ansible_collections.dbops.postgres.plugins.module_utils._plan import Argument, Ident, Joined, Literal, Sql

_LOCK_TIMEOUT = Sql("SET LOCAL lock_timeout = '5s'")

_FUNCTION = """CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $dbops$
DECLARE
    by_key boolean := CASE TG_OP WHEN 'INSERT' THEN NEW.{key} IS NOT NULL
                                 ELSE NEW.{key} IS DISTINCT FROM OLD.{key} END;
BEGIN
    IF by_key THEN  -- written by what knows the key
        NEW.{column} := (SELECT l.name FROM {lookup} l WHERE l.id = NEW.{key})::{type};
        IF NEW.{column} IS NULL AND NEW.{key} IS NOT NULL THEN
            RAISE foreign_key_violation USING MESSAGE = format('key %s is not in the lookup table', NEW.{key});
        END IF;
    ELSE  -- written by what knows the value
        NEW.{key} := (SELECT l.id FROM {lookup} l WHERE l.name = NEW.{column}::text);
        IF NEW.{key} IS NULL AND NEW.{column} IS NOT NULL THEN
            RAISE foreign_key_violation USING MESSAGE = format('value %L is not in the lookup table', NEW.{column});
        END IF;
    END IF;
    RETURN NEW;
END
$dbops$"""

_BACKFILL = """DO $dbops$
DECLARE
    batch_pages CONSTANT bigint := {pages};
    pages bigint := pg_relation_size({literal}::regclass) / current_setting('block_size')::bigint;
    page bigint := 0;
    low tid;
    high tid;
    tries integer;
BEGIN
    WHILE page < pages LOOP
        low := format('(%s,0)', page)::tid;
        high := format('(%s,0)', least(page + batch_pages, 4294967295))::tid;
        tries := 0;
        LOOP
            -- A row that somebody holds is left for the next try, so that nobody waits for this in a circle.
            WITH empty AS (
                SELECT t.ctid FROM {table} t
                 WHERE t.ctid >= low AND t.ctid < high AND t.{key} IS NULL AND t.{column} IS NOT NULL
                   FOR NO KEY UPDATE SKIP LOCKED
            )
            UPDATE {table} t SET {key} = l.id
              FROM empty, {lookup} l
             WHERE t.ctid = empty.ctid AND l.name = t.{column}::text;
            COMMIT;
            EXIT WHEN NOT EXISTS (SELECT FROM {table} t WHERE t.ctid >= low AND t.ctid < high
                                     AND t.{key} IS NULL AND t.{column} IS NOT NULL);
            tries := tries + 1;
            IF tries >= 600 THEN
                RAISE lock_not_available USING
                    MESSAGE = format('rows of pages %s to %s have had no key for a minute', low, high),
                    HINT = 'Another session holds them, or a value is not in the lookup table. Then run this again.';
            END IF;
            PERFORM pg_sleep(0.1);
        END LOOP;
        page := page + batch_pages;
    END LOOP;
END
$dbops$"""


@dataclass(frozen=True)
class Script:
    """One migration.

    :param name: what it does, for its file.
    :param phase: ``expand`` or ``contract``.
    :param what: for its reader, a line each.
    :param in_transaction: False: its one statement cannot run in a transaction.
    """

    name: str
    phase: str
    what: tuple[str, ...]
    up: tuple[Sql, ...]
    down: tuple[Sql, ...]
    in_transaction: bool = True
    down_in_transaction: bool = True


def scripts(column: Column, names: Names, batch_pages: int, drop_type: bool) -> list[Script]:
    """The migrations, in the order in which they are applied; the last one is the contract."""
    make = _Maker(column, names)
    stem = f"{column.table}_{column.name}"
    return [
        Script(
            f"{stem}_lookup",
            "expand",
            (
                f"{column.label}: the values of the ENUM {column.type_name} become rows of {names.lookup}.",
                f"{names.key} is new. A trigger keeps both columns in step; writers may use either.",
            ),
            (_LOCK_TIMEOUT, *make.lookup(), *make.step()),
            (_LOCK_TIMEOUT, *make.undo_step(), make.sql("ALTER TABLE {table} DROP COLUMN {key}"), *make.undo_lookup()),
        ),
        Script(
            f"{stem}_backfill",
            "expand",
            (f"{column.label}: rows from before the trigger get their {names.key}, {batch_pages} pages at a time.",),
            (make.sql(_BACKFILL, pages=Literal(batch_pages)),),
            (Sql("SELECT 1 -- the keys go with the column"),),
            in_transaction=False,
        ),
        *(
            Script(
                f"{stem}_index_{number}",
                "expand",
                (f"{column.label}: what index {index.name} is for the column, for {names.key}.",),
                (make.index(index),),
                (
                    make.sql(
                        "DROP INDEX CONCURRENTLY {index}", index=Ident(column.schema, names.index(index, column.name))
                    ),
                ),
                in_transaction=False,
                down_in_transaction=False,
            )
            for number, index in enumerate(column.indexes, start=1)
        ),
        Script(
            f"{stem}_validate",
            "expand",
            (f"{column.label}: every row has its {names.key}, and it is in {names.lookup}.",),
            (_LOCK_TIMEOUT, *make.validate()),
            make.undo_validate(),
        ),
        Script(
            f"{stem}_contract",
            "contract",
            (
                f"{column.label} goes. Nothing may read or write it any more.",
                "The way back adds it as the last column.",
            ),
            (_LOCK_TIMEOUT, *make.contract(drop_type)),
            (_LOCK_TIMEOUT, *make.undo_contract(drop_type)),
        ),
    ]


class _Maker:
    """Statements about one column."""

    def __init__(self, column: Column, names: Names) -> None:
        self.column = column
        self.names = names
        table = Ident(column.schema, column.table)
        self.arguments: dict[str, Argument] = {
            "table": table,
            "literal": Literal(".".join('"' + part.replace('"', '""') + '"' for part in table.parts)),
            "column": Ident(column.name),
            "key": Ident(names.key),
            "lookup": Ident(column.schema, names.lookup),
            "type": Ident(column.type_schema, column.type_name),
            "trigger": Ident(names.trigger),
            "function": Ident(column.schema, names.function),
            "foreign_key": Ident(names.foreign_key),
            "check": Ident(names.check),
        }

    def sql(self, template: str, **more: Argument) -> Sql:
        """A statement; ``{name}`` stands for an argument."""
        known = {**self.arguments, **more}
        parts: list[Argument] = []
        text = ""
        rest = template
        while "{" in rest:
            before, _brace, rest = rest.partition("{")
            name, _brace, rest = rest.partition("}")
            text += before + "{}"
            parts.append(known[name])
        return Sql(text + rest, tuple(parts))

    def lookup(self) -> tuple[Sql, ...]:
        labels = self.column.labels
        rows = Joined(
            tuple(
                Sql("\n    ({}, {}, {})", (Literal(number), Literal(label), Literal(number * 10)))
                for number, label in enumerate(labels, start=1)
            )
        )
        return (
            self.sql(
                "CREATE TABLE {lookup} (\n"
                "    id integer GENERATED BY DEFAULT AS IDENTITY (START WITH {next}) PRIMARY KEY,\n"
                "    name text NOT NULL UNIQUE,\n"
                "    description text NOT NULL DEFAULT '',\n"
                "    is_active boolean NOT NULL DEFAULT true,\n"
                "    sort_order integer NOT NULL\n)",
                next=Literal(len(labels) + 1),
            ),
            self.sql("INSERT INTO {lookup} (id, name, sort_order) VALUES{rows}", rows=rows),
            self.sql("ALTER TABLE {table} ADD COLUMN {key} integer"),
            self.sql(
                "ALTER TABLE {table} ADD CONSTRAINT {foreign_key}"
                " FOREIGN KEY ({key}) REFERENCES {lookup} (id) NOT VALID"
            ),
        )

    def step(self, valid: bool = False) -> tuple[Sql, ...]:
        """What keeps the columns in step."""
        filled = "{key} IS NOT NULL" if self.column.not_null else "({column} IS NULL) = ({key} IS NULL)"
        return (
            self.sql(_FUNCTION),
            self.sql("REVOKE ALL ON FUNCTION {function}() FROM PUBLIC"),
            self.sql(
                "CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()"
            ),
            self.sql(f"ALTER TABLE {{table}} ADD CONSTRAINT {{check}} CHECK ({filled}){'' if valid else ' NOT VALID'}"),
        )

    def undo_step(self) -> tuple[Sql, ...]:
        return (
            self.sql("DROP TRIGGER {trigger} ON {table}"),
            self.sql("DROP FUNCTION {function}()"),
            self.sql("ALTER TABLE {table} DROP CONSTRAINT {check}"),
        )

    def undo_lookup(self) -> tuple[Sql, ...]:
        return (self.sql("DROP TABLE {lookup}"),)

    def index(self, index: Index) -> Sql:
        """The index with the key in place of the column, beside the old one."""
        column = self.column.name
        columns = tuple(self.names.key if name == column else str(name) for name in index.columns)
        keys = tuple(
            Sql("{}" + _order(index.method, option), (Ident(name),))
            for name, option in zip(columns[: index.keys], index.options)
        )
        rest = tuple(Ident(name) for name in columns[index.keys :])
        text = (
            f"CREATE {'UNIQUE ' if index.unique else ''}INDEX CONCURRENTLY {{name}} ON {{table}} USING {index.method} "
        )
        text += "({keys})" + (" INCLUDE ({rest})" if rest else "")
        text += " NULLS NOT DISTINCT" if index.nulls_not_distinct else ""
        text += " WHERE {predicate}" if index.predicate else ""
        name = Ident(self.names.index(index, column))
        return self.sql(text, name=name, keys=Joined(keys), rest=Joined(rest), predicate=_verbatim(index.predicate))

    def validate(self) -> tuple[Sql, ...]:
        found = (
            self.sql("ALTER TABLE {table} VALIDATE CONSTRAINT {foreign_key}"),
            self.sql("ALTER TABLE {table} VALIDATE CONSTRAINT {check}"),
        )
        not_null = (self.sql("ALTER TABLE {table} ALTER COLUMN {key} SET NOT NULL"),)
        return found + (not_null if self.column.not_null else ())

    def undo_validate(self) -> tuple[Sql, ...]:
        if not self.column.not_null:
            return (Sql("SELECT 1 -- what has been proved stays true"),)
        return (_LOCK_TIMEOUT, self.sql("ALTER TABLE {table} ALTER COLUMN {key} DROP NOT NULL"))

    def contract(self, drop_type: bool) -> tuple[Sql, ...]:
        # A check of both columns goes with the column.
        found = list(self.undo_step() if self.column.not_null else self.undo_step()[:-1])
        if self.column.default is not None:
            key = Literal(self.column.labels.index(self.column.default) + 1)
            found.append(self.sql("ALTER TABLE {table} ALTER COLUMN {key} SET DEFAULT {value}", value=key))
        found.append(self.sql("ALTER TABLE {table} DROP COLUMN {column}"))
        if drop_type:
            found.append(self.sql("DROP TYPE {type}"))
        return tuple(found)

    def undo_contract(self, drop_type: bool) -> tuple[Sql, ...]:
        labels = Joined(tuple(map(Literal, self.column.labels)))
        found = [self.sql("CREATE TYPE {type} AS ENUM ({labels})", labels=labels)] if drop_type else []
        found += [
            self.sql("ALTER TABLE {table} ADD COLUMN {column} {type}"),
            # Nobody else writes meanwhile: the transaction holds the table.
            self.sql("UPDATE {table} t SET {column} = l.name::{type} FROM {lookup} l WHERE l.id = t.{key}"),
        ]
        if self.column.default is not None:
            found += [
                self.sql(
                    "ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {value}", value=Literal(self.column.default)
                ),
                self.sql("ALTER TABLE {table} ALTER COLUMN {key} DROP DEFAULT"),
            ]
        if self.column.not_null:
            found.append(self.sql("ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL"))
        found += self.step(valid=True)
        found += [_verbatim(index.definition) for index in self.column.indexes]
        return tuple(found)


def _order(method: str, option: int) -> str:
    if method != "btree":
        return ""
    return {0: "", 1: " DESC NULLS LAST", 2: " NULLS FIRST", 3: " DESC"}[option]


def _verbatim(text: str) -> Sql:
    """Text that PostgreSQL wrote."""
    return Sql(text.replace("{", "{{").replace("}", "}}"))
