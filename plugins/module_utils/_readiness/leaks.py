# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look for credentials that lie in clear: units, files, the server's log, its statistics, well-known passwords.

Only the place of a credential leaves this module, never the credential. What is searched is bounded, so that a host
with large home directories answers in seconds: see ``_MOST_FILES`` and ``_MOST_BYTES``.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import pwd
import re
import stat
import subprocess
from collections.abc import Iterable, Iterator, Mapping

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.observe import value
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Age,
    Leaks,
    Seen,
    Server,
    Setting,
    StoredLeaks,
    Unseen,
)
from ansible_collections.dbops.postgres.plugins.module_utils._secrets import verifies

try:
    import psycopg2
    from psycopg2 import sql
except ImportError:
    pass  # _postgres.connect says so

EVIDENCE = "/var/lib/dbops-postgres/evidence"
TIMEOUT_SECONDS = 20
_MOST_FILES = 20000
_MOST_BYTES = 256 * 1024  # of one file
_LOG_BYTES = 8 * 1024 * 1024  # from the end of one log file
_LOG_FILES = 5
_MOST_ROLES = 100
_SKIPPED = (".git", ".cache", "node_modules", "__pycache__", "site-packages")

# What stands in documentation and templates in the place of a password.
_PLACEHOLDER = rb"(?:\*+|x+|\.+|pass(?:word|wd)?|secret|changeme_?|<[^>]*>|\$\{?[^@\s]*|\{\{.*|%\(?[^@\s]*|\[[^@\s]*)"
_URL = re.compile(rb"postgres(?:ql)?://[^\s:/@'\"]*:(?!" + _PLACEHOLDER + rb"@)[^\s@/'\"]+@", re.IGNORECASE)
_ASSIGNMENT = re.compile(
    rb"\b(?:[A-Z0-9_]*_)?(?:PG|POSTGRES|DB|DATABASE|PGBOUNCER)(?:[A-Z0-9]*_)*PASS(?:WORD|WD)?\s*[=:]\s*[\"']?"
    rb"(?!" + _PLACEHOLDER + rb"?[\"']?\s*$)[^\s\"'#;]{4,}",
    re.IGNORECASE | re.MULTILINE,
)
_VERIFIER = re.compile(rb"\"md5[0-9a-f]{32}\"|SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:")
# Of an environment any name that says so, since a unit's environment is no documentation.
_VARIABLE = re.compile(
    r"(?:^|\s|[\"'])(?:[A-Za-z0-9_]*_)?(?:PGPASSWORD|PASSWORD|PASSWD|SECRET|TOKEN|API_KEY|SECRET_KEY|ACCESS_KEY)=[^\s\"']",
    re.MULTILINE,
)
# A statement that sets a password; a verifier is no password, and pgaudit writes <REDACTED>.
_STATEMENT = r"password\s+e?'(?!SCRAM-SHA-256\$|\*+'|')"

_WELL_KNOWN = ("", "postgres", "password", "admin", "root", "test", "123456", "changeme", "secret", "postgresql")


def observe(settings: Mapping[str, Setting], now: float) -> Seen[Leaks]:
    """Look at the host on which the server with these settings runs.

    :param now: seconds since 1970.
    """
    if os.geteuid() != 0:
        return Unseen(Status.NOT_TESTED, "Needs root on the server (become: true).")
    homes = _homes()
    try:
        return Leaks(
            units=tuple(_units()),
            files=tuple(_files(["/etc", *homes])),
            pgpass=tuple(path for home in homes for path in [os.path.join(home, ".pgpass")] if _open_to_others(path)),
            logs=_leaking_logs(settings),
            ages=tuple(_ages(now)),
        )
    except OSError as error:
        return Unseen(Status.ERROR, f"Cannot look for credentials: {error}")


def stored(login: Login, databases: Iterable[str]) -> Seen[StoredLeaks]:
    """Look at what the server itself keeps.

    :param databases: those that have the extension pg_stat_statements; one is enough, its view shows all of them.
    """
    try:
        connection = _postgres.connect(login, autocommit=True)
    except DbopsError as error:
        return Unseen(Status.ERROR, error.problem)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = on")
        if not _postgres.capabilities(connection).pg_authid:
            return Unseen(Status.NOT_TESTED, "The connected role may not see verifiers and other roles' statements.")
        with connection.cursor() as cursor:
            cursor.execute("SELECT rolname, rolpassword FROM pg_catalog.pg_authid WHERE rolcanlogin ORDER BY 1")
            verifiers = cursor.fetchall()
        guessed = [role for role, verifier in verifiers[:_MOST_ROLES] if well_known(role, verifier)]
        return StoredLeaks(
            guessed=tuple(guessed),
            md5=tuple(role for role, verifier in verifiers if verifier and verifier.startswith("md5")),
            unchecked=max(0, len(verifiers) - _MOST_ROLES),
            statements=_statements(login, databases),
        )
    except psycopg2.Error as error:
        return Unseen(Status.ERROR, f"Cannot read pg_authid: {(error.diag.message_primary or str(error)).strip()}")
    finally:
        connection.close()


def with_statements(server: Server) -> list[str]:
    """Names of the databases that have the extension pg_stat_statements."""
    if isinstance(server.databases, Unseen):
        return []
    return [
        database.name
        for database in server.databases
        if not isinstance(database.inside, Unseen) and "pg_stat_statements" in database.inside.extensions
    ]


def well_known(role: str, verifier: str | None) -> bool:
    """Whether a stored password is one that anybody would try first: a well-known one, or the role's own name."""
    if verifier is None:
        return False
    for password in (*_WELL_KNOWN, role):
        md5 = hashlib.md5(password.encode() + role.encode()).hexdigest()  # noqa: S324 - PostgreSQL's old verifier
        if verifier == f"md5{md5}" or verifies(password, verifier):
            return True
    return False


def _statements(login: Login, databases: Iterable[str]) -> Seen[int]:
    """How many statements in pg_stat_statements set a password in clear."""
    for database in databases:
        try:
            connection = _postgres.connect(login, database, autocommit=True)
        except DbopsError as error:
            return Unseen(Status.ERROR, error.problem)
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n"
                    " ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'"
                )
                row = cursor.fetchone()
                if row is None:
                    continue
                view = sql.Identifier(row[0], "pg_stat_statements")
                cursor.execute(sql.SQL("SELECT count(*) FROM {} WHERE query ~* %s").format(view), (_STATEMENT,))
                count = cursor.fetchone()
                return int(count[0]) if count else 0
        except psycopg2.Error as error:
            return Unseen(Status.ERROR, f"pg_stat_statements: {(error.diag.message_primary or str(error)).strip()}")
        finally:
            connection.close()
    return Unseen(Status.NOT_APPLICABLE, "No database has the extension pg_stat_statements.")


def holds_credential(content: bytes) -> bool:
    """Whether the content of a file shows a database credential in clear, or a verifier that must not be read."""
    return b"\0" not in content[:1024] and any(pattern.search(content) for pattern in (_URL, _ASSIGNMENT, _VERIFIER))


def environment_credential(text: str) -> bool:
    """Whether an environment, ``NAME=value`` separated by blanks or lines, holds a credential."""
    return _VARIABLE.search(text) is not None or _URL.search(text.encode("utf-8", "surrogateescape")) is not None


def statement_credential(text: str) -> bool:
    """Whether a line of a server's log, or a statement, holds a password."""
    return (
        re.search(_STATEMENT, text, re.IGNORECASE) is not None
        or _URL.search(text.encode("utf-8", "surrogateescape")) is not None
    )


def _units() -> Iterator[str]:
    """Units with a credential in their environment, or in a file that fills it."""
    command = ["systemctl", "show", "--property=Id,Environment,EnvironmentFiles", "*.service"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return
    for block in done.stdout.decode("utf-8", "surrogateescape").split("\n\n"):
        facts = [line.partition("=") for line in block.splitlines()]
        unit = next((text for key, _sign, text in facts if key == "Id"), "")
        if any(key == "Environment" and environment_credential(text) for key, _sign, text in facts):
            yield f"Environment= of {unit}"
        for key, _sign, text in facts:
            path = text.split(" (")[0].lstrip("-")
            if key == "EnvironmentFiles" and environment_credential(_read(path).decode("utf-8", "surrogateescape")):
                yield f"{path} (EnvironmentFile= of {unit})"


def _files(roots: Iterable[str]) -> Iterator[str]:
    """Files with a credential that somebody but their owner can read."""
    left = _MOST_FILES
    for root in sorted(set(roots)):
        for directory, below, names in os.walk(root):
            below[:] = sorted(name for name in below if name not in _SKIPPED)
            for name in sorted(names):
                left -= 1
                if left < 0:
                    return
                path = os.path.join(directory, name)
                if _open_to_others(path) and holds_credential(_read(path)):
                    yield path


def _open_to_others(path: str) -> bool:
    """Whether anybody but the owner can read a plain file: others, or a group that is more than the owner's own."""
    try:
        seen = os.lstat(path)
    except OSError:
        return False
    if not stat.S_ISREG(seen.st_mode):
        return False
    return bool(seen.st_mode & stat.S_IROTH) or (
        bool(seen.st_mode & stat.S_IRGRP) and seen.st_gid != 0 and not _own_group(seen.st_uid, seen.st_gid)
    )


def _own_group(user: int, group: int) -> bool:
    try:
        return pwd.getpwuid(user).pw_gid == group
    except KeyError:
        return False


def _leaking_logs(settings: Mapping[str, Setting]) -> Seen[tuple[str, ...]]:
    paths = _logs(settings)
    if not paths:
        return Unseen(Status.NOT_TESTED, "No log file of the server was found; its journal is not searched.")
    return tuple(path for path in paths if _says_password(path))


def _logs(settings: Mapping[str, Setting]) -> list[str]:
    """The newest log files of the server: of its collector, what its standard error goes to, Debian's."""
    directory = value(settings, "data_directory")
    found: list[str] = []
    if value(settings, "log_directory"):
        found += glob.glob(os.path.join(directory, value(settings, "log_directory"), "*"))
    pid = _read(os.path.join(directory, "postmaster.pid")).split(b"\n")[0].decode("ascii", "replace").strip()
    with contextlib.suppress(OSError):  # a container may not look at another user's descriptors
        found += glob.glob(f"{os.readlink(f'/proc/{pid}/fd/2')}*")
    cluster = "-".join(value(settings, "config_file").split("/")[-3:-1])  # /etc/postgresql/17/main/postgresql.conf
    found += glob.glob(f"/var/log/postgresql/postgresql-{cluster}.log*")
    files = {path for path in found if os.path.isfile(path) and not path.endswith((".gz", ".zst"))}
    return sorted(sorted(files, key=os.path.getmtime, reverse=True)[:_LOG_FILES])


def _says_password(path: str) -> bool:
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - _LOG_BYTES))
        return statement_credential(file.read(_LOG_BYTES).decode("utf-8", "replace"))


def _ages(now: float) -> Iterator[Age]:
    """What the deliveries and rotations of secrets have left behind."""
    for path in sorted(glob.glob(f"{EVIDENCE}/secret-*.json") + glob.glob(f"{EVIDENCE}/rotation-*.json")):
        try:
            data = json.loads(_read(path))
            days = int(now - data["since"]) // 86400
            yield Age(str(data["secret"]), days, int(data["max_age_days"]))
        except (ValueError, KeyError, TypeError):
            yield Age(path, -1, 0)


def _homes() -> list[str]:
    return sorted({entry.pw_dir for entry in pwd.getpwall() if entry.pw_dir.startswith(("/home/", "/root", "/srv/"))})


def _read(path: str) -> bytes:
    try:
        if not os.path.isfile(path):
            return b""
        with open(path, "rb") as handle:
            return handle.read(_MOST_BYTES)
    except OSError:
        return b""
