# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""P-1: a pooler, its mode, cap and budget; who comes through it, and how it knows them. P-7: the last load test."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import (
    Outcome,
    fails,
    holds,
    names,
    none_of,
    passes,
    probe,
)
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    NotSeenError,
    Observed,
    PooledDatabase,
    Pooler,
    Server,
    Thresholds,
    Unseen,
    look,
)

_LOCAL = ("", "127.0.0.1", "::1")
# Milliseconds; 0 is no limit (PostgreSQL manual 19.11).
_TIMEOUTS = {
    "statement_timeout": 30_000,
    "idle_in_transaction_session_timeout": 30_000,
    "idle_session_timeout": 300_000,
}
_UNITS = {"": 1, "us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def _poolers(seen: Observed) -> tuple[Pooler, ...]:
    """The poolers of this host; without one nothing else can be judged."""
    found = look(seen.poolers)
    if not found:
        raise NotSeenError(Unseen(Status.NOT_TESTED, "No pooler runs on this host."))
    return found


@probe("P-1", "pooler")
def a_pooler_runs(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    found = look(seen.poolers)
    ports = ", ".join(pooler.where for pooler in found)
    waiting = sorted({item.name for pooler in found for item in pooler.databases if item.waits})
    if waiting:
        yield fails(
            "pooler",
            f"pgbouncer runs on {ports}; paused or disabled: {names(waiting)}",
            "If nobody restarts the server just now: module pgbouncer_pause, state resumed; or ENABLE in its console.",
        )
        return
    yield holds(
        bool(found),
        "pooler",
        f"pgbouncer runs on {ports}" if found else "no pgbouncer runs on this host",
        "Role pgbouncer. If the pooler has a host of its own, run readiness there too and waive this subject here.",
    )


@probe("P-1", "pool mode")
def pools_share_by_transaction(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    # Without a database there may be one for every name, which has the pooler's own mode.
    modes = [
        (name, mode or pooler.settings.get("pool_mode", ""))
        for pooler in _poolers(seen)
        for name, mode in [(item.name, item.mode) for item in pooler.databases] or [(pooler.where, "")]
    ]
    other = [f"{name}: {mode}" for name, mode in modes if mode != "transaction"]
    yield from none_of(
        other, "pool mode", "every database is pooled by transaction", "pooled otherwise", "pool_mode = transaction."
    )


@probe("P-1", "cap and waiting time")
def clients_are_capped(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    for pooler in _poolers(seen):
        cap, wait = int(pooler.settings["max_client_conn"]), float(pooler.settings["query_wait_timeout"])
        yield holds(
            cap <= 10_000 and 0 < wait <= 120,
            f"cap and waiting time, {pooler.where}",
            f"max_client_conn = {cap}, query_wait_timeout = {wait:g} s",
            "Set max_client_conn, and a query_wait_timeout of at most 120 s: a client must not wait for ever.",
            Severity.HIGH,
        )


@probe("P-1", "authentication of clients")
def clients_authenticate_with_scram(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    for pooler in _poolers(seen):
        method = pooler.settings.get("auth_type", "")
        weak = look(pooler.weak_rules) if method == "hba" else ()
        yield holds(
            method in ("scram-sha-256", "hba", "cert") and not weak,
            f"authentication of clients, {pooler.where}",
            f"auth_type = {method}" + (f"; its rules: {names(weak)}" if weak else ""),
            "scram-sha-256, as auth_type or in each rule; any, trust, plain and md5 let others in, or read along.",
        )


@probe("P-1", "look-up of passwords")
def the_function_is_safe(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    for pooler in _poolers(seen):
        subject = f"look-up of passwords, {pooler.where}"
        query = pooler.settings.get("auth_query", "")
        if not pooler.settings.get("auth_user"):
            yield passes(subject, "no auth_user: passwords are in its file, as verifiers or not; see its files")
            continue
        called = re.search(r"from\s+([\w.]+)\s*\(", query, re.IGNORECASE)
        if not called:
            yield fails(
                subject,
                "auth_query reads the catalog itself, so its login can read every verifier",
                "A SECURITY DEFINER function in a schema of its own (module pgbouncer_auth).",
            )
            continue
        yield from _judge_function(server, pooler, called[1], subject)


def _judge_function(server: Server, pooler: Pooler, name: str, subject: str) -> Iterator[Outcome]:
    databases = {database.name: database for database in look(server.databases)}
    roles = {role.name: role for role in look(server.roles)}
    able = {pooler.settings["auth_user"], *(role.name for role in roles.values() if role.superuser)}
    wrong = []
    here = sorted({database.dbname for database in pooler.databases} & set(databases))  # the others: of another server
    if not here:
        raise NotSeenError(Unseen(Status.NOT_TESTED, "None of the pooled databases is on this server: look there."))
    for pooled in here:
        found = [item for item in look(databases[pooled].inside).definers if item.name == name]
        if not found:
            wrong.append(f"{pooled} has no SECURITY DEFINER function {name}")
        for item in found:
            if item.public:
                wrong.append(f"PUBLIC may execute {name} in {pooled}")
            others = [executor for executor in item.executors if executor not in able]
            if others:
                wrong.append(f"{names(others)} may execute {name} in {pooled}")
            if not item.owner_is_superuser:
                wrong.append(f"{name} in {pooled} belongs to a role that is no superuser, which can change it")
            if not item.search_path_pinned:
                wrong.append(f"{name} in {pooled} has no pinned search_path")
            if not item.heeds_expiry:
                wrong.append(f"{name} in {pooled} does not heed rolvaliduntil (CVE-2025-2291)")
    user = roles.get(pooler.settings["auth_user"])
    if user and user.superuser:
        wrong.append(f"{user.name} is a superuser")
    yield from none_of(
        wrong,
        subject,
        f"{name}, for {pooler.settings['auth_user']} only, with a pinned search_path, heeding expiry",
        "unsafe",
        "Module pgbouncer_auth makes it so.",
    )


@probe("P-1", "passwords in its files")
def its_files_hold_no_passwords(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    for pooler in _poolers(seen):
        wrong = [f"{user} in clear" for user in look(pooler.clear)]
        secret = pooler.settings.get("auth_file", "")
        wrong += [
            f"{file.path} has mode {file.mode:04o}"
            for file in pooler.files
            if file.exists and file.mode & (0o077 if file.path == secret else 0o007)
        ]
        yield from none_of(
            wrong,
            f"passwords in its files, {pooler.where}",
            "none in clear but of its own login; nobody else can read them",
            "found",
            "Let it look passwords up (auth_query); mode 0600 for auth_file, no rights for others on the rest.",
        )


@probe("P-1", "encryption")
def clients_elsewhere_use_tls(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    for pooler in _poolers(seen):
        addresses = [item.strip() for item in pooler.settings.get("listen_addr", "").split(",") if item.strip()]
        open_ones = [item for item in addresses if item not in ("localhost", *_LOCAL)]
        mode = pooler.settings.get("client_tls_sslmode", "disable")
        asks = mode in ("require", "verify-ca", "verify-full")
        plain = look(pooler.plain_rules) if open_ones and not asks else ()
        by_rules = pooler.settings.get("auth_type") == "hba" and mode != "disable" and not plain
        yield holds(
            not open_ones or asks or by_rules,
            f"encryption, {pooler.where}",
            f"listens on {', '.join(addresses) or 'its socket'}; client_tls_sslmode = {mode}"
            + (", required by its HBA rules" if by_rules and not asks else "")
            + (f"; its rules do not ask for it: {names(plain)}" if plain else ""),
            "client_tls_sslmode = require, with certificate and key; or hostssl rules and auth_type = hba.",
        )


@probe("P-1", "budget")
def the_budget_holds(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    most = int(server.settings["max_connections"].value)
    reserved = int(server.settings["superuser_reserved_connections"].value)
    port = int(server.settings["port"].value)
    here = [item for item in _databases(seen) if item.port in (0, port)]
    pools = sum(_most(item) for item in here)
    endless = sorted({item.name for item in here if item.anybody and not item.most})
    pooled = {user for pooler in _poolers(seen) for user in pooler.users}
    logins = [role for role in look(server.roles) if role.login and not role.superuser and role.name not in pooled]
    direct = sum(role.connection_limit for role in logins if role.connection_limit > 0)
    unlimited = sorted(role.name for role in logins if role.connection_limit < 0)
    taken = pools + direct + reserved
    said = f"pools {pools} + direct logins {direct} + superuser {reserved} = {taken} of {most}"
    if endless:
        yield fails(
            "budget",
            f"{said}; and each further login that comes has a pool of its own: {names(endless)}",
            "Name the logins (auth_type = hba), or set max_db_connections.",
            Severity.HIGH,
        )
    if unlimited:
        yield fails(
            "budget",
            f"{said}; without a limit, so without a budget: {names(unlimited)}",
            "ALTER ROLE ... CONNECTION LIMIT for each of them.",
            Severity.HIGH,
        )
    if endless or unlimited:
        return
    yield holds(taken <= most, "budget", said, "Smaller pools, smaller connection limits, or a larger max_connections.")


def _most(database: PooledDatabase) -> int:
    if database.most and database.anybody:
        return database.most
    each = (database.size + database.reserve) * len(database.users or ("?",))
    return min(each, database.most) if database.most else each


def _databases(seen: Observed) -> list[PooledDatabase]:
    return [item for pooler in _poolers(seen) for item in pooler.databases]


def _pooled_logins(seen: Observed) -> list[str]:
    found = sorted({user for pooler in _poolers(seen) for user in pooler.users})
    if not found:
        raise NotSeenError(Unseen(Status.NOT_TESTED, "No login is named for the pool, and none has come through it."))
    return found


@probe("P-1", "way of the applications")
def applications_come_through_the_pool(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    users = _pooled_logins(seen)
    past = sorted(
        {
            f"{item.user} from {item.address}"
            for item in look(look(seen.server).connections)
            if item.user in users and item.address not in _LOCAL
        }
    )
    yield from none_of(
        past,
        "way of the applications",
        "no pooled login is connected from another host",
        "past the pool",
        "Admit the pooled logins in pg_hba.conf from the pooler only.",
    )


@probe("P-1", "timeouts of pooled logins")
def timeouts_are_in_force(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    users = _pooled_logins(seen)
    own = {(item.role, item.database, item.name): item.value for item in look(server.role_settings)}
    wrong = []
    for user, database in sorted({(user, item.dbname) for item in _databases(seen) for user in item.users}):
        for name, limit in _TIMEOUTS.items():
            # What is more particular holds (PostgreSQL manual, ALTER ROLE).
            places = ((user, database), (user, ""), ("", database))
            found = [own[(*place, name)] for place in places if (*place, name) in own]
            value = (found or [server.settings[name].value])[0]
            if not 0 < milliseconds(value) <= limit:
                wrong.append(f"{user} in {database}: {name} = {value}")
    yield from none_of(
        wrong,
        "timeouts of pooled logins",
        f"statement, idle-in-transaction and idle timeouts hold for {len(users)} logins",
        "too long, or none",
        "ALTER ROLE ... SET statement_timeout = '30s', idle_in_transaction_session_timeout = '30s', "
        "idle_session_timeout = '300s'.",
    )


@probe("P-7", "load test")
def a_load_test_was_passed(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    last = look(seen.load_test)
    yield holds(
        last.passed and last.days <= want.load_test_days,
        "load test",
        f"{last.said}; {'passed' if last.passed else 'failed'}, {last.days} days ago",
        f"Playbook load_test, every {want.load_test_days} days and after a change of size.",
    )


def milliseconds(value: str) -> float:
    """A setting of time as milliseconds, its own unit; -1 for what cannot be read."""
    found = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*([a-z]*)\s*", value)
    return float(found[1]) * _UNITS[found[2]] if found and found[2] in _UNITS else -1
