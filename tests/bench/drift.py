# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparison of a schema of 1,000 tables with its committed snapshot.

    DBOPS_DEV_PG17=host:port:superuser:password python -m tests.bench drift

Each table has ten columns, four constraints, three indexes, a trigger, a policy, a comment and grants. Prints the
seconds of a whole comparison (connect, read, compare, judge) with one index dropped, and fails above 5 s.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from ansible_collections.dbops.postgres.plugins.module_utils._schema import judge, look
from ansible_collections.dbops.postgres.plugins.module_utils._schema.compare import compare
from tests.integration.access.running import login, sql
from tests.integration.servers import VERSIONS, Database, create_database, drop_database, given, throwaway

TABLES, SCHEMAS = 1000, 10
LIMIT = 5.0

_TABLE = """
    CREATE TABLE s{n}.t%s (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant int NOT NULL, parent bigint,
        name varchar(80) NOT NULL UNIQUE, state text DEFAULT ''new'', price numeric(12,2) CHECK (price >= 0), note text,
        at timestamptz DEFAULT now(), tags text[], twice numeric GENERATED ALWAYS AS (price * 2) STORED);
    ALTER TABLE s{n}.t%1$s ADD FOREIGN KEY (parent) REFERENCES s{n}.t%1$s;
    CREATE INDEX ON s{n}.t%1$s (tenant, at);
    CREATE TRIGGER touched BEFORE UPDATE ON s{n}.t%1$s FOR EACH ROW EXECUTE FUNCTION public.touch();
    ALTER TABLE s{n}.t%1$s ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON s{n}.t%1$s USING (tenant = 1);
    COMMENT ON TABLE s{n}.t%1$s IS ''A table'';
    GRANT SELECT, INSERT ON s{n}.t%1$s TO {role};"""


def make(database: Database, tables: int = TABLES, schemas: int = SCHEMAS) -> None:
    """The tables, in a transaction for each schema."""
    role = f"{database.prefix}app"
    connection = database.connect()
    try:
        sql(connection, f"CREATE ROLE {role}")
        sql(connection, "CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
        for number in range(schemas):
            body = _TABLE.format(n=number, role=role).replace("%s (", "%1$s (", 1)
            loop = f"FOR i IN 1..{tables // schemas} LOOP EXECUTE format('{body}', i); END LOOP;"
            sql(connection, f"CREATE SCHEMA s{number}", f"DO $do$ BEGIN {loop} END $do$")
        sql(connection, "ANALYZE")
    finally:
        connection.close()


def main() -> int:
    """Measure; non-zero above the limit."""
    version = VERSIONS[-1]
    database = create_database(given(version) or throwaway()[version])
    try:
        make(database)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "schema.json")
            path.write_text(look.observed(login(database)).to_json())
            connection = database.connect()
            sql(connection, "DROP INDEX s3.t7_tenant_at_idx")
            connection.close()
            began = time.monotonic()
            live = look.observed(login(database))
            read = time.monotonic() - began
            found = compare(look.from_file(str(path)), live)
            findings = judge.findings(found, live.count())
            took = time.monotonic() - began
            size = path.stat().st_size
        good = [finding.subject for finding in findings] == ["index s3.t7_tenant_at_idx"] and took < LIMIT
        print(
            f"drift: {TABLES} tables, {live.count()} objects, snapshot {size / 1e6:.1f} MB: {took:.2f} s "
            f"({read:.2f} s reading), limit {LIMIT:.0f} s, the dropped index was {'' if findings else 'not '}seen: "
            f"{'good' if good else 'BAD'}"
        )
        return 0 if good else 1
    finally:
        drop_database(database)


if __name__ == "__main__":
    sys.exit(main())
