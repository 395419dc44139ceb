# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the pgbouncers that run on this host: by their own console, whoever set them up."""

from __future__ import annotations

import contextlib
import datetime
import glob
import grp
import ipaddress
import json
import os
import pwd
import re
import shlex
import stat
from collections.abc import Mapping
from typing import Any, Callable

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import console, reported, sockets
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    File,
    LoadTest,
    PooledDatabase,
    Pooler,
    Seen,
    Unseen,
)

LOAD_TEST = "/var/lib/dbops-postgres/evidence/load_test.json"
_WITH_PASSWORD = re.compile(r"\s*(\"(?:[^\"]|\"\")*\"|[^=\s;#]+)\s*=(?:.*\s)?password\s*=", re.IGNORECASE)
_WEAK = ("trust", "password", "md5")  # pgbouncer(5): the methods of its HBA file
_DEEPEST = 10  # files that include one another
_ENTRY = re.compile(r'^\s*"((?:[^"]|"")*)"\s+"((?:[^"]|"")*)"')


def observe() -> Seen[tuple[Pooler, ...]]:
    """Every pgbouncer of this host; what cannot be asked makes the whole unseen."""
    users = _users()
    if not users:
        return ()
    if os.geteuid() != 0:
        return Unseen(Status.NOT_TESTED, "A pooler runs here, and only root and its own user may ask it: become.")
    found, problems = [], []
    for directory, port in sockets():
        for user in sorted(set(users)):
            try:
                found.append(_pooler(directory, port, user))
            except DbopsError as error:  # PostgreSQL's own socket, or another user's pooler
                problems.append(str(error))
    if len(found) < len(users):
        return Unseen(Status.ERROR, f"{len(users)} poolers run, {len(found)} answer: {'; '.join(problems)}")
    return tuple(found)


def load_test(now: float) -> Seen[LoadTest]:
    """The record that the playbook load_test leaves on the server's host."""
    try:
        with open(LOAD_TEST, encoding="utf-8") as stream:
            record = json.load(stream)
        when = datetime.datetime.fromisoformat(record["time"]).timestamp()
        said = (
            f"{record['clients']} clients, {record['duration_seconds']} s: "
            f"{record['requests_per_second']:g} transactions a second, p95 {record['p95_ms']:g} ms, "
            f"{record['errors']} errors"
        )
        return LoadTest(record["passed"] is True, int((now - when) // 86400), said)
    except FileNotFoundError:
        return Unseen(Status.NOT_TESTED, "No load test is on record: playbook load_test.")
    except (OSError, ValueError, TypeError, KeyError) as error:
        return Unseen(Status.ERROR, f"{LOAD_TEST} cannot be read: {error}")


def _users() -> list[str]:
    """Whose each pgbouncer of this host is."""
    users = []
    for path in glob.glob("/proc/[0-9]*/comm"):
        with contextlib.suppress(OSError, KeyError):
            with open(path, encoding="utf-8") as stream:
                if stream.read().strip() != "pgbouncer":
                    continue
            directory = os.path.dirname(path)
            with open(f"{directory}/status", encoding="utf-8") as stream:
                numbers = next((line.split()[1:] for line in stream if line.startswith("NSpid:")), [])
            if len(numbers) < 2:  # not in a container of this host
                users.append(pwd.getpwuid(os.stat(directory).st_uid).pw_name)
    return users


def _pooler(directory: str, port: int, user: str) -> Pooler:
    connection = console(directory, port, user)
    try:
        settings = {row["key"]: row["value"] or "" for row in _ask(connection, "SHOW CONFIG")}
        databases = _ask(connection, "SHOW DATABASES")
        pools = _ask(connection, "SHOW POOLS")
    finally:
        connection.close()
    rules: Seen[list[list[str]]] = []
    if settings.get("auth_type") == "hba":
        rules = _rules(settings.get("auth_hba_file", ""))
    users = {} if isinstance(rules, Unseen) else _admitted(rules)
    unnamed = settings.get("auth_type") != "hba" or isinstance(rules, Unseen)
    for row in pools:
        # A login that was refused leaves an empty pool behind.
        alive = any(int(row[column]) for column in ("cl_active", "cl_waiting", "sv_active", "sv_idle", "sv_used"))
        if alive and row["user"] != settings.get("auth_user"):
            users.setdefault(row["database"], set()).add(row["user"])
    paths = [settings.get(name, "") for name in ("conffile", "auth_file", "auth_hba_file")]
    return Pooler(
        port=port,
        settings=settings,
        databases=tuple(_database(row, users, unnamed) for row in databases if row["name"] != "pgbouncer"),
        clear=_clear(settings),
        files=tuple(_file(path) for path in paths if path),
        plain_rules=_lines(rules, lambda words: words[0] in ("host", "hostnossl") and not _loopback(words[3])),
        weak_rules=_lines(rules, lambda words: words[-1] in _WEAK),
    )


def _lines(rules: Seen[list[list[str]]], wanted: Callable[[list[str]], bool]) -> Seen[tuple[str, ...]]:
    """The rules that let somebody in and are such, as text."""
    if isinstance(rules, Unseen):
        return rules
    return tuple(" ".join(words) for words in rules if words[-1] != "reject" and wanted(words))


def _rules(path: str) -> Seen[list[list[str]]]:
    """The lines of an HBA file as words."""
    try:
        with open(path, encoding="utf-8") as stream:
            lines = [shlex.split(line, comments=True) for line in stream]
    except OSError as error:
        return Unseen(Status.ERROR, f"{path or 'its HBA file'} cannot be read: {error.strerror}")
    except ValueError as error:
        return Unseen(Status.ERROR, f"{path} cannot be read: {error}")
    return [words for words in lines if len(words) > (3 if words[:1] == ["local"] else 4)]


def _admitted(rules: list[list[str]]) -> dict[str, set[str]]:
    """Database -> users whom a rule lets in, both as it says them, so ``all`` as well."""
    users: dict[str, set[str]] = {}
    for words in rules:
        if words[-1] != "reject":
            for database in words[1].split(","):
                users.setdefault(database, set()).update(words[2].split(","))
    return users


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_network(address, strict=False).is_loopback
    except ValueError:
        return False


def _database(row: dict[str, Any], users: dict[str, set[str]], unnamed: bool) -> PooledDatabase:
    found = users.get(row["name"], set()) | users.get("all", set())
    forced = row.get("force_user") or ""
    return PooledDatabase(
        name=row["name"],
        host=row["host"] or "",
        port=int(row["port"] or 0),
        dbname=row["database"],
        size=int(row["pool_size"] or 0),
        reserve=int(row.get("reserve_pool_size") or row.get("reserve_pool") or 0),
        mode=row["pool_mode"] or "",
        users=(forced,) if forced else tuple(sorted(found - {"all"})),
        most=int(row.get("max_connections") or 0),
        anybody=not forced and (unnamed or "all" in found),
        waits=any(int(row.get(state) or 0) for state in ("paused", "disabled")),
    )


def _ask(connection: Any, command: str) -> list[dict[str, Any]]:
    with reported(f"pgbouncer's console, {command}", "", ""), connection.cursor() as cursor:
        cursor.execute(command)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]


def _clear(settings: Mapping[str, str]) -> Seen[tuple[str, ...]]:
    """Whose password stands in clear in the file of passwords, or in the entry of a database."""
    path, found = settings.get("auth_file", ""), []
    try:
        if path:
            with open(path, encoding="utf-8") as stream:
                entries = [match.groups() for line in stream if (match := _ENTRY.match(line))]
            found = [
                user
                for user, secret in entries
                if secret and user != settings.get("auth_user") and not secret.startswith("SCRAM-SHA-256$")
            ]
        path = settings.get("conffile", "")
        if path:
            found += [f"database {name}" for name in _with_password(path)]
    except OSError as error:
        return Unseen(Status.ERROR, f"{error.filename} cannot be read: {error.strerror}")
    return tuple(found)


def _with_password(path: str, depth: int = 0) -> list[str]:
    """The databases whose entry has a password, in the file and in those that it includes (pgbouncer(5))."""
    found = []
    with open(path, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            included = re.match(r"\s*%include\s+(\S.*?)\s*$", line)
            if included and depth < _DEEPEST:
                found += _with_password(os.path.join(os.path.dirname(path), included[1]), depth + 1)
            entry = _WITH_PASSWORD.match(line)
            if entry:
                found.append(entry[1].strip('"'))
    return found


def _file(path: str) -> File:
    try:
        found = os.stat(path)
    except OSError:
        return File(path, exists=False)
    return File(
        path,
        exists=True,
        mode=stat.S_IMODE(found.st_mode),
        owner=_named(lambda: pwd.getpwuid(found.st_uid).pw_name, found.st_uid),
        group=_named(lambda: grp.getgrgid(found.st_gid).gr_name, found.st_gid),
    )


def _named(lookup: Any, number: int) -> str:
    try:
        return str(lookup())
    except KeyError:
        return str(number)
