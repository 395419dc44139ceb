# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to PostgreSQL: the only place that opens one, and the only place that composes SQL."""

from __future__ import annotations

import os
import pwd
import re
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import (
    MASK,
    Argument,
    DbopsError,
    Ident,
    Joined,
    Literal,
    Secret,
    Sql,
    Step,
)

try:
    import psycopg2
    from psycopg2 import extensions, sql

    HAS_PSYCOPG2 = True
except ImportError:
    HAS_PSYCOPG2 = False

CONNECT_TIMEOUT_SECONDS = 10
_PEER = threading.Lock()
LOCK_TIMEOUT = "10s"

# What would write a statement, and so a password verifier, into the server's log or into pg_stat_statements. pgaudit
# records it, redacted.
_LOUD = {
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "pg_stat_statements.track": "none",
}

# Named as in community.postgresql, so that its module_defaults carry over. Documented in doc_fragments/login.py.
LOGIN_ARGUMENTS: dict[str, dict[str, Any]] = {
    "login_host": {"type": "str", "default": "", "aliases": ["host"]},
    "login_unix_socket": {"type": "str", "default": "", "aliases": ["unix_socket"]},
    "login_port": {"type": "int", "default": 5432, "aliases": ["port"]},
    "login_user": {"type": "str", "default": "postgres", "aliases": ["login"]},
    "login_password": {"type": "str", "default": "", "no_log": True},
    "login_db": {"type": "str", "default": "postgres", "aliases": ["maintenance_db"]},
    "ssl_mode": {
        "type": "str",
        "default": "prefer",
        "choices": [
            "allow",
            "disable",
            "prefer",
            "require",
            "verify-ca",
            "verify-full",
        ],
    },
    "ca_cert": {"type": "path", "aliases": ["ssl_rootcert"]},
}


@dataclass(frozen=True)
class Login:
    """How to reach one server. ``host`` empty: the local UNIX socket."""

    host: str = ""
    unix_socket: str = ""
    port: int = 5432
    user: str = "postgres"
    password: str = ""
    database: str = "postgres"
    ssl_mode: str = "prefer"
    ca_cert: str | None = None

    def __repr__(self) -> str:
        return f"Login({self.user}@{self.host or self.unix_socket or 'local'}:{self.port}/{self.database})"

    @property
    def place(self) -> str:
        """The server as an error message names it."""
        if self.host:
            return f"{self.host}:{self.port}"
        return f"the local socket {self.unix_socket or '(default directory)'}, port {self.port}"


@dataclass(frozen=True)
class Capabilities:
    """What the connected role can see and do on this server.

    :param server_version: as in ``server_version_num``: 150004, 170002.
    :param user: the connected role.
    :param superuser: whether it is one.
    :param rds: whether this is Amazon RDS or Aurora (the role ``rds_superuser`` exists).
    :param pg_authid: whether stored password verifiers can be read (PostgreSQL manual, 52.8: superusers only).
    :param in_recovery: whether the server is a replica, so nothing can be changed on it.
    """

    server_version: int
    user: str
    superuser: bool
    rds: bool
    pg_authid: bool
    in_recovery: bool

    def as_dict(self) -> dict[str, Any]:
        """For a module's return value."""
        return asdict(self)


def login_from(params: Mapping[str, Any]) -> Login:
    """The login options of a module's parameters (keys of :data:`LOGIN_ARGUMENTS`)."""
    return Login(
        host=params["login_host"] or "",
        unix_socket=params["login_unix_socket"] or "",
        port=params["login_port"],
        user=params["login_user"],
        password=params["login_password"] or "",
        database=params["login_db"],
        ssl_mode=params["ssl_mode"],
        ca_cert=params["ca_cert"],
    )


def connect(
    login: Login, database: str | None = None, *, autocommit: bool = False, pooled: bool = False
) -> extensions.connection:
    """Open a connection.

    Session settings are made by the connection's options, so that they hold from the first statement: an empty
    ``search_path`` (CVE-2018-1058), a lock timeout, no statement logging of this session where the role may ask for
    it, UTC. Run as root over the UNIX socket without a password, the connection is opened as the operating
    system's user of the same name, so that ``peer`` authentication works without ``become_user``.

    :param pooled: through a pool in transaction mode; no session settings then: another session would have them.
    :raises DbopsError: psycopg2 is missing, or the server refused; the text holds no password.
    """
    if not HAS_PSYCOPG2:
        raise DbopsError("psycopg2 is missing on this host.", "Install the package python3-psycopg2.")
    name = database or login.database
    parameters: dict[str, Any] = {
        "host": login.host or login.unix_socket or None,
        "port": login.port,
        "user": login.user,
        "password": login.password or None,
        "dbname": name,
        "sslmode": login.ssl_mode,
        "sslrootcert": login.ca_cert,
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        # A server that vanishes without a word is noticed within a minute, not in the two hours of the kernel.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "application_name": "dbops.postgres",
        # Also of a database in SQL_ASCII or LATIN1: psycopg2 would take the bytes of a name for ASCII, and fail.
        "client_encoding": None if pooled else "UTF8",
        "options": None
        if pooled
        else f"-c search_path= -c lock_timeout={LOCK_TIMEOUT} -c timezone=UTC -c client_min_messages=warning",
    }
    try:
        with _peer_user(login):
            given = {key: value for key, value in parameters.items() if value is not None}
            connection: extensions.connection = psycopg2.connect(**given)
    except psycopg2.Error as error:
        raise DbopsError(
            f"Cannot connect to database {name!r} on {login.place} as {login.user!r}: "
            + mask(str(error).strip(), [login.password]),
            "Check the login options, that PostgreSQL runs there, and pg_hba.conf.",
        ) from None
    connection.autocommit = autocommit
    return connection


def sockets() -> list[tuple[str, int]]:
    """Directory and port of each UNIX socket on which a server or pooler of this host waits for clients (proc(5))."""
    found = set()
    with open("/proc/net/unix", encoding="utf-8") as stream:
        for line in stream:
            columns = line.split()
            place = re.fullmatch(r"(/.*)/\.s\.PGSQL\.(\d+)", columns[7]) if len(columns) > 7 else None
            if place:
                found.add((place[1], int(place[2])))
    return sorted(found)


def console(unix_socket: str, port: int, user: str, *, wait: bool = True) -> extensions.connection:
    """Open pgbouncer's administration console as the user that it runs as, which needs no password over the socket
    (pgbouncer(5), section "ADMIN CONSOLE"). It understands SHOW, RELOAD, PAUSE and the like, and no SQL.

    :param user: the operating system's user.
    :param wait: False for an asynchronous connection, which the caller polls: for commands that may never answer.
    :raises DbopsError: nothing answers there.
    """
    if not HAS_PSYCOPG2:
        raise DbopsError("psycopg2 is missing on this host.", "Install the package python3-psycopg2.")
    try:
        with _peer_user(Login(user=user)):
            connection: extensions.connection = psycopg2.connect(
                host=unix_socket,
                port=port,
                user="pgbouncer",
                dbname="pgbouncer",
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                async_=not wait,
            )
    except psycopg2.Error as error:
        raise DbopsError(
            f"pgbouncer's console does not answer on {unix_socket}, port {port}: {str(error).strip()}",
            "Check that the pooler runs and listens on this socket.",
        ) from None
    if wait:
        connection.autocommit = True
    return connection


@contextmanager
def _peer_user(login: Login) -> Generator[None, None, None]:
    # Peer authentication looks at the effective user of the connecting process (PostgreSQL manual, 20.9). All threads
    # have the same one: two that connect at once would take it from each other.
    if login.host or login.password:
        yield
        return
    with _PEER:
        try:
            account = pwd.getpwnam(login.user) if os.geteuid() == 0 else None
        except KeyError:
            account = None
        if account is None:
            yield
            return
        os.seteuid(account.pw_uid)
        try:
            yield
        finally:
            os.seteuid(0)


def capabilities(connection: extensions.connection) -> Capabilities:
    """Look at what this connection can see and do: one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT pg_catalog.current_setting('server_version_num')::int,
                   current_user::text,
                   r.rolsuper,
                   EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'rds_superuser'),
                   pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT'),
                   pg_catalog.pg_is_in_recovery()
              FROM pg_catalog.pg_roles r
             WHERE r.rolname = current_user
            """
        )
        row = cursor.fetchone()
    if row is None:
        raise DbopsError(
            "The connected role is not in pg_roles.",
            "Connect as an ordinary login role.",
        )
    return Capabilities(*row)


def compose(statement: Sql, *, masked: bool = False) -> sql.Composed:
    """A statement as psycopg2 executes it, or, ``masked``, as it may be shown."""
    return sql.SQL(statement.template).format(*(_argument(item, masked) for item in statement.args))


def _argument(item: Argument, masked: bool) -> sql.Composable:
    if isinstance(item, Ident):
        return sql.Identifier(*item.parts)
    if isinstance(item, Secret):
        return sql.Literal(MASK if masked else item.value)
    if isinstance(item, Literal):
        return sql.Literal(item.value)
    if isinstance(item, Joined):
        return sql.SQL(", ").join(_argument(part, masked) for part in item.items)
    return compose(item, masked=masked)


def shown(steps: Sequence[Step], connection: extensions.connection) -> list[str]:
    """The statements of a plan in order, secrets masked, as the module returns them."""
    return [compose(step.sql, masked=True).as_string(connection) for step in steps]


def execute(cursor: extensions.cursor, step: Step) -> None:
    """Run one step.

    :raises DbopsError: with the object, PostgreSQL's message and the statement, secrets masked. The transaction is
        then aborted: nothing of it remains.
    """
    text = compose(step.sql, masked=True).as_string(cursor)  # before: it takes a connection
    try:
        cursor.execute(compose(step.sql))
    except psycopg2.Error as error:
        message = mask(told(error), _secrets(step.sql)) + ("" if error.pgcode else ".")
        hint = f" {error.diag.message_hint}" if error.diag.message_hint else ""
        raise DbopsError(
            f"{step.subject}: {message}{hint} Statement: {text}",
            untouched="Its transaction was rolled back.",
        ) from None


@contextmanager
def reported(subject: str, remedy: str, untouched: str = "Nothing was changed.") -> Generator[None, None, None]:
    """What PostgreSQL says, or a connection that is gone, becomes an error that names the subject.

    :raises DbopsError: in the place of psycopg2's error.
    """
    try:
        yield
    except Exception as error:
        if not HAS_PSYCOPG2 or not isinstance(error, psycopg2.Error):
            raise
        raise DbopsError(f"{subject}: {_message(error)}", remedy, untouched) from None


def told(error: psycopg2.Error) -> str:
    """What PostgreSQL says, with its SQLSTATE; of a connection that is lost, what ended it."""
    while not error.pgcode and isinstance(error.__context__, psycopg2.Error):
        error = error.__context__  # a rollback on a connection that is gone hides why it went
    text = _message(error)
    return f"{text} (SQLSTATE {error.pgcode})" if error.pgcode else text


def _message(error: psycopg2.Error) -> str:
    return error.diag.message_primary or str(error).strip().partition("\n")[0] or type(error).__name__


def in_the_way(connection: extensions.connection, error: psycopg2.Error) -> str:
    """For who has waited for a lock in vain: which tables somebody holds locked against everybody, and what to do.

    Ends the transaction.
    """
    if error.pgcode != "55P03":  # lock_not_available
        return "Look into the log of the server, and run it again."
    found: list[tuple[str, int]] = []
    with suppress(psycopg2.Error), connection.cursor() as cursor:
        connection.rollback()
        cursor.execute(
            """
            SELECT l.relation::regclass::text, l.pid
              FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
             WHERE l.mode = 'AccessExclusiveLock' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()
               AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
               AND c.relkind IN ('r', 'p', 'm', 'f') ORDER BY 1 LIMIT 5
            """
        )
        found = cursor.fetchall()
    held = ", ".join(f"{name} by process {pid}" for name, pid in found) or "not any more"
    return f"Locked against everybody: {held}. Run it again when that migration has ended."


def refuse_unknown_schemas(cursor: extensions.cursor, database: str, schemas: Sequence[str]) -> None:
    """A check of a schema that is not there would find nothing, and say that all is well.

    :raises DbopsError: naming the first one.
    """
    cursor.execute(
        "SELECT s FROM pg_catalog.unnest(%s::text[]) s"
        " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = s)",
        (list(schemas),),
    )
    row = cursor.fetchone()
    if row:
        raise DbopsError(f"Database {database!r} has no schema {row[0]!r}", "Correct the option schemas.")


def no_transaction_timeout(cursor: extensions.cursor) -> None:
    """Let this session's transactions take as long as its statements may (``transaction_timeout``, PostgreSQL 17)."""
    cursor.execute(
        "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout'"
    )


def end(connection: extensions.connection) -> None:
    """Give back the advisory locks of a session, and close it.

    A backend lives on for a moment after its connection is closed, and the next run must not find the lock held.
    """
    with suppress(psycopg2.Error):
        connection.rollback()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_catalog.pg_advisory_unlock_all()")
        connection.commit()
    connection.close()


def cancel(connection: extensions.connection) -> None:
    """Cancel what another thread has under way on this connection, if the connection is still there."""
    with suppress(psycopg2.Error):
        connection.cancel()


@contextmanager
def quiet(cursor: extensions.cursor) -> Generator[None, None, None]:
    """Statements with a verifier are not logged, as far as the role may ask for that (superuser, or granted)."""
    cursor.execute(
        """
        SELECT s.name, s.setting FROM pg_catalog.pg_settings s
         WHERE s.name = ANY (%s)
           AND (s.context = 'user' OR (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)
                OR pg_catalog.has_parameter_privilege(s.name, 'SET'))
        """,
        (list(_LOUD),),
    )
    settings = dict(cursor.fetchall())
    for name in settings:
        cursor.execute("SELECT pg_catalog.set_config(%s, %s, true)", (name, _LOUD[name]))
    yield
    for name, value in settings.items():
        cursor.execute("SELECT pg_catalog.set_config(%s, %s, true)", (name, value))


def _secrets(item: Argument) -> list[str]:
    if isinstance(item, Secret):
        return [item.value]
    if isinstance(item, Sql):
        return [value for part in item.args for value in _secrets(part)]
    if isinstance(item, Joined):
        return [value for part in item.items for value in _secrets(part)]
    return []


def mask(text: str, secrets: Sequence[str]) -> str:
    """The text without the given secrets and without any SCRAM or md5 verifier."""
    for secret in sorted((value for value in secrets if value), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return re.sub(r"SCRAM-SHA-256\$[^\s']+|md5[0-9a-f]{32}", MASK, text)
