# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one seed or reset file, where the server says that it is not production."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._environment import is_production
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login, capabilities, connect
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.spec import environment_of

with suppress(ImportError):  # connect() says so
    import psycopg2
    from psycopg2 import sql

_HIDDEN = re.compile(
    r"(?P<dollar>\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$).*?(?P=dollar)|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/",
    re.DOTALL,
)
_TRANSACTION = re.compile(
    r"(?:^|;)\s*(BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK|ABORT|PREPARE\s+TRANSACTION)\b(?!\s+TO\b)", re.IGNORECASE
)


# As a login of the role would find it: connections of this collection have an empty one.
_SEARCH_PATH = """
    SELECT pg_catalog.set_config('search_path', coalesce((
        SELECT substring(c FROM '^search_path=(.*)')
          FROM pg_catalog.pg_db_role_setting s CROSS JOIN unnest(s.setconfig) c
         WHERE c LIKE 'search\\_path=%%'
           AND s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d
                                      WHERE d.datname = pg_catalog.current_database()))
           AND s.setrole IN (0, (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = %s))
         ORDER BY s.setrole = 0, s.setdatabase = 0
         LIMIT 1), '"$user", public'), true)
"""


@dataclass(frozen=True)
class Seeded:
    """What a run came to.

    :param changed: whether the transaction wrote anything.
    """

    environment: str
    changed: bool


def unsaid_words(database: str) -> str:
    """What has to be said, word for word, to seed a server that does not say its environment."""
    return f"seed {database}, which is not production"


def check_text(name: str, text: str) -> None:
    """Refuse what cannot be run as one transaction.

    :raises DbopsError: with the file.
    """
    visible = _HIDDEN.sub(" ", text)
    if not visible.strip(" \t\r\n;"):
        raise DbopsError(f"{name} holds no statement", "Give a file with SQL.")
    if re.search(r"^\s*\\", visible, re.MULTILINE):
        raise DbopsError(f"{name} holds a command of psql (a line that begins with \\)", "Give SQL only.")
    found = _TRANSACTION.search(visible)
    if found:
        raise DbopsError(
            f"{name} holds {found[1].upper()}: it is run as one transaction", "Leave out what begins and ends one."
        )
    if re.search(r"\bSTDIN\b", visible, re.IGNORECASE):
        raise DbopsError(f"{name} reads from STDIN, which is not there", "Use INSERT instead of COPY ... FROM STDIN.")


def seed(
    login: Login, name: str, text: str, role: str, allowed: str, timeout_seconds: int, *, check_mode: bool
) -> Seeded:
    """Run a file in one transaction. In check mode the environment is looked at, and nothing is run.

    :param role: what the session becomes first; empty: it stays who logged in.
    :raises DbopsError: this is production, or nobody says that it is not; or a statement failed.
    """
    check_text(name, text)
    connection = connect(login)
    try:
        connection.set_client_encoding("UTF8")  # as the file, whatever the database has
        with connection.cursor() as cursor:
            environment = _environment(cursor)
            if is_production(environment):
                raise DbopsError(
                    f"{name} is refused: database {login.database} at {login.place} is {environment}",
                    "Seed and reset files run against development only: look at which server this is.",
                )
            if not environment and allowed != unsaid_words(login.database):
                raise DbopsError(
                    f"{name} is refused: the server at {login.place} does not say which environment it is",
                    "Declare server_environment of the role server. If it is known not to be production, "
                    f"set allow_unknown to {unsaid_words(login.database)!r}.",
                )
            if capabilities(connection).in_recovery:
                raise DbopsError(f"The server at {login.place} is a replica", "Run this against the primary.")
            if check_mode:
                return Seeded(environment, True)
            cursor.execute("SELECT pg_catalog.set_config('statement_timeout', %s, true)", (f"{timeout_seconds}s",))
            cursor.execute(_SEARCH_PATH, (role or login.user,))
            if role:
                cursor.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
            cursor.execute("SAVEPOINT dbops_seed")
            cursor.execute(text)
            cursor.execute("RELEASE SAVEPOINT dbops_seed")  # fails when the file ended the transaction after all
            cursor.execute("SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL")
            (changed,) = cursor.fetchone() or (True,)
        connection.commit()
        return Seeded(environment, bool(changed))
    except psycopg2.Error as error:
        line = ""
        if error.diag.statement_position:
            line = f" at line {text.count(chr(10), 0, int(error.diag.statement_position) - 1) + 1}"
        hint = f" {error.diag.message_hint}" if error.diag.message_hint else ""
        raise DbopsError(
            f"{name}{line}: {(error.diag.message_primary or str(error)).strip()} (SQLSTATE {error.pgcode}){hint}",
            "Mend the file and run this again.",
            "Its transaction was rolled back.",
        ) from None
    finally:
        connection.close()


def _environment(cursor: psycopg2.extensions.cursor) -> str:
    """What the server says, else what the guard of the database was told (the guard refuses on its own as well)."""
    cursor.execute(
        """
        SELECT pg_catalog.current_setting('cluster_name'),
               pg_catalog.to_regprocedure('dbops.environment()') IS NOT NULL
                 AND pg_catalog.has_schema_privilege('dbops', 'USAGE')
                 AND pg_catalog.has_function_privilege('dbops.environment()', 'EXECUTE')
        """
    )
    cluster_name, guarded = cursor.fetchone() or ("", False)
    said = environment_of(cluster_name)
    if not said and guarded:
        cursor.execute("SELECT dbops.environment()")
        (said,) = cursor.fetchone() or ("",)
    return str(said)
