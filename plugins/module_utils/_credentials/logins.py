# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two logins of a service on a server: look at them, give one a new password, close one, and remember it."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._credentials.rotation import Login, Record, Seen
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError, Ident, Secret, Sql, Step
from ansible_collections.dbops.postgres.plugins.module_utils._secrets import (
    connection_url,
    scram_verifier,
    url_login,
    verifies,
)

try:
    import psycopg2
    from psycopg2 import extensions
except ImportError:
    pass  # _postgres.connect says so

EVIDENCE_DIRECTORY = "/var/lib/dbops-postgres/evidence"

# pg_roles masks the password; whether there is one can be seen in pg_authid alone, so by a superuser (manual, 52.8).
_LOGINS = """
SELECT r.rolname, r.rolcanlogin AND {password},
       (SELECT count(*) FROM pg_catalog.pg_stat_activity a WHERE a.usename = r.rolname)
  FROM {source} r WHERE r.rolname = ANY (%s)
"""
_VERIFIER = "SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = %s AND rolcanlogin"
_SESSION = """
SELECT count(*) FROM pg_catalog.pg_stat_activity
 WHERE usename = %s AND backend_start > pg_catalog.to_timestamp(%s) AND application_name <> 'dbops.postgres'
"""


def observe(
    connection: extensions.connection, role: str, published: str, works: bool, record: Record | None, now: int
) -> Seen:
    """The two logins of ``role`` (``<role>_a`` and ``<role>_b``) and what is known of them.

    :raises DbopsError: one does not exist, or is no member of the role.
    """
    names = login_names(role)
    superuser = _postgres.capabilities(connection).pg_authid
    query = _LOGINS.format(
        password="r.rolpassword IS NOT NULL" if superuser else "true",
        source="pg_catalog.pg_authid" if superuser else "pg_catalog.pg_roles",
    )
    with connection.cursor() as cursor:
        cursor.execute(query, (list(names),))
        found = {name: Login(name, enabled, sessions) for name, enabled, sessions in cursor.fetchall()}
        missing = [name for name in names if name not in found]
        if missing:
            raise DbopsError(
                f"Role {missing[0]!r} does not exist", "Declare its service with rotating: true in access_services."
            )
        cursor.execute(
            "SELECT n FROM pg_catalog.unnest(%s) n WHERE NOT pg_catalog.pg_has_role(n, %s, 'MEMBER')",
            (list(names), role),
        )
        strangers = [name for (name,) in cursor.fetchall()]
    if strangers:
        raise DbopsError(
            f"Role {strangers[0]!r} is no member of {role!r}, so it does not have its rights",
            "Declare its service with rotating: true in access_services.",
        )
    return Seen((found[names[0]], found[names[1]]), published, works, record, now)


def login_names(role: str) -> tuple[str, str]:
    """The two logins of a role."""
    return f"{role}_a", f"{role}_b"


def published_login(url: str, role: str) -> str:
    """Which of the two logins a connection URL names; empty: neither."""
    login = url_login(url)
    return login[0] if login is not None and login[0] in login_names(role) else ""


def accepted(connection: extensions.connection, url: str, place: Mapping[str, Any]) -> bool:
    """Whether the server accepts the login of a connection URL; if not, another password would mend it.

    A server that starts, or is full, refuses the right password as well. Only who may read pg_authid can tell.

    :raises DbopsError: the password is right, and the login is not let in.
    """
    works, answer = connects(url, place)
    login = url_login(url)
    if works or login is None or not _postgres.capabilities(connection).pg_authid:
        return works
    with connection.cursor() as cursor:
        cursor.execute(_VERIFIER, (login[0],))
        verifier = cursor.fetchone()
    if verifier and verifies(login[1], verifier[0]):
        raise DbopsError(
            f"Login {login[0]!r} has the right password and is not let in: {answer}",
            "Mend that (the server starts or is full, pg_hba.conf, VALID UNTIL, the host in url), and run this again.",
        )
    return False


def connects(url: str, place: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether the server accepts the login of a connection URL, and its answer when it does not.

    Certificates of the authority may lie on the consumers only: without them the connection is encrypted but the
    server's name is not checked, which is no loss to a host that is the server.
    """
    login = url_login(url)
    if login is None:
        return False, "this is no connection URL"
    parameters = dict(place.get("parameters") or {})
    root = str(parameters.get("sslrootcert", ""))
    unknown_authority = str(parameters.get("sslmode", "")).startswith("verify") and not (root and os.path.exists(root))
    parameters = {key: value for key, value in parameters.items() if key.startswith("ssl")}
    if unknown_authority:
        parameters = {"sslmode": "require"}
    try:
        psycopg2.connect(
            connection_url(*login, place["host"], int(place["port"]), place["database"], parameters),
            connect_timeout=_postgres.CONNECT_TIMEOUT_SECONDS,
            application_name="dbops.postgres",
        ).close()
    except psycopg2.Error as error:
        return False, _postgres.mask(str(error).strip(), [login[1], url])
    return True, ""


def steps_to_open(login: str, password: str) -> list[Step]:
    """Give a login a password; the server sees the verifier alone."""
    verifier = Secret(scram_verifier(password))
    return [Step(f"role {login}", Sql("ALTER ROLE {} LOGIN PASSWORD {}", (Ident(login), verifier)))]


def steps_to_close(login: str) -> list[Step]:
    """Take the password from a login, and its right to log in."""
    return [Step(f"role {login}", Sql("ALTER ROLE {} NOLOGIN PASSWORD NULL", (Ident(login),)))]


def apply(connection: extensions.connection, steps: list[Step]) -> None:
    """Execute the steps in one transaction. Verifiers stay out of the logs where the connected role may ask that."""
    with connection.cursor() as cursor, _postgres.quiet(cursor):
        for step in steps:
            _postgres.execute(cursor, step)
    connection.commit()


def wait_for_session(connection: extensions.connection, login: str, after: float, timeout: float) -> bool:
    """Whether the login has a connection that was opened after that time, or gets one in ``timeout`` seconds."""
    end = time.monotonic() + timeout
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_SESSION, (login, after))
            row = cursor.fetchone()
        connection.rollback()  # a snapshot of pg_stat_activity lasts as long as the transaction
        if row is not None and row[0] > 0:
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(0.2)


def server_time(connection: extensions.connection) -> float:
    """The server's clock, in seconds since 1970."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8")
        row = cursor.fetchone()
    connection.rollback()
    if row is None:
        raise DbopsError("The server did not tell its time")
    return float(row[0])


def record_path(name: str) -> str:
    """Where the record of a secret lies."""
    return f"{EVIDENCE_DIRECTORY}/rotation-{name}.json"


def read_record(name: str) -> Record | None:
    """What the last rotation left behind.

    :raises DbopsError: the file is there but says something else.
    """
    path = record_path(name)
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        return Record(str(data["active"]), int(data["since"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DbopsError(f"{path} cannot be read: {error}", "Remove it: the next rotation writes it anew.") from None


def write_record(name: str, record: Record, max_age_days: int) -> None:
    """Leave a record behind, for the next run and for the readiness probe."""
    path = record_path(name)
    os.makedirs(EVIDENCE_DIRECTORY, 0o755, exist_ok=True)
    new = f"{path}.new"
    with open(new, "w", encoding="utf-8") as file:
        json.dump({"secret": name, **asdict(record), "max_age_days": max_age_days}, file, indent=2, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def check_name(name: str) -> str:
    """A name that can be part of a path.

    :raises DbopsError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise DbopsError(f"{name!r} cannot be the name of a secret")
    return name
