# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""O-3 slow-query and lock logging and, of S-3, pgaudit."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import (
    Outcome,
    fails,
    holds,
    none_of,
    passes,
    probe,
)
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Observed,
    Server,
    Thresholds,
    look,
)

# What pgbadger and log shippers need to tell sessions, users and databases apart.
_PREFIX = (("%m", "%t", "%n"), ("%p",), ("%u",), ("%d",))


def libraries(server: Server) -> list[str]:
    """shared_preload_libraries, without the paths."""
    text = server.settings["shared_preload_libraries"].value
    return [item.strip().strip('"').rsplit("/", 1)[-1] for item in text.split(",") if item.strip()]


@probe("O-3", "slow statements")
def slow_statements_are_logged(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    limit = int(look(seen.server).settings["log_min_duration_statement"].value)
    yield holds(
        0 <= limit <= want.slow_query_ms,
        "slow statements",
        f"log_min_duration_statement = {limit} ms" if limit >= 0 else "log_min_duration_statement = -1: never",
        f"Set log_min_duration_statement = {want.slow_query_ms}.",
    )


@probe("O-3", "exceptions by role or database")
def nobody_is_exempt(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    weaker = [
        f"{item.role or 'every role'} in {item.database or 'every database'}: {item.name} = {item.value}"
        for item in look(look(seen.server).role_settings)
        if (item.name == "log_min_duration_statement" and item.value.strip() == "-1")
        or (item.name == "log_lock_waits" and item.value in ("off", "false", "no", "0"))
    ]
    yield from none_of(
        weaker,
        "exceptions by role or database",
        "no role and no database switches the logging off",
        "logging switched off",
        "ALTER ROLE / ALTER DATABASE ... RESET these settings.",
    )


@probe("O-3", "lock waits and checkpoints")
def waits_are_logged(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    settings = look(seen.server).settings
    wanted = ("log_lock_waits", "log_checkpoints")
    yield from none_of(
        [name for name in wanted if settings[name].value != "on"],
        "lock waits and checkpoints",
        f"{', '.join(wanted)} are on",
        "switched off",
        "Switch them on.",
    )


@probe("O-3", "connections", "3.1.20", "3.1.21")
def connections_are_logged(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    settings = look(seen.server).settings
    wanted = ("log_connections", "log_disconnections")
    yield from none_of(
        # PostgreSQL 18 takes a list of phases instead of on.
        [name for name in wanted if settings[name].value in ("off", "")],
        "connections",
        f"{', '.join(wanted)} are on",
        "switched off",
        "Switch them on.",
    )


@probe("O-3", "log_line_prefix", "3.1.24")
def lines_name_their_session(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    prefix = look(seen.server).settings["log_line_prefix"].value
    missing = [" or ".join(choice) for choice in _PREFIX if not any(item in prefix for item in choice)]
    yield from none_of(
        missing,
        "log_line_prefix",
        f"{prefix!r} names time, process, user and database",
        f"{prefix!r} lacks",
        "Set log_line_prefix = '%m [%p] %q%u@%d,app=%a,client=%h '.",
    )


@probe("S-3", "pgaudit", "3.2")
def pgaudit_is_loaded_and_set(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    loaded = libraries(server)
    if "pgaudit" not in loaded:
        yield fails(
            "pgaudit",
            f"shared_preload_libraries = {', '.join(loaded) or 'empty'}: pgaudit is not loaded",
            "Install the package, add pgaudit to shared_preload_libraries and restart.",
        )
        return
    classes = {item.strip().lower() for item in server.settings["pgaudit.log"].value.split(",")}
    wanted = {"ddl", "role"} - classes
    yield holds(
        not wanted or "all" in classes,
        "pgaudit",
        f"pgaudit is loaded, pgaudit.log = {', '.join(sorted(classes))}",
        "Set pgaudit.log = 'ddl, role' (or more).",
    )


@probe("S-3", "pgaudit in every database", "3.2")
def pgaudit_is_created(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    databases = [database for database in look(look(seen.server).databases) if not database.template]
    missing = [database.name for database in databases if "pgaudit" not in look(database.inside).extensions]
    yield from none_of(
        missing,
        "pgaudit in every database",
        f"the extension exists in {len(databases)} database(s), so DDL is logged with the names of its objects",
        "the extension is not created in",
        "CREATE EXTENSION pgaudit in each, and in template1 for those to come.",
    )


@probe("S-3", "exceptions from the audit")
def nobody_escapes_the_audit(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    weaker = [
        f"{item.role or 'every role'} in {item.database or 'every database'}: {item.name} = {item.value}"
        for item in look(look(seen.server).role_settings)
        if item.name == "pgaudit.log" and item.value.strip().lower() in ("", "none")
    ]
    if weaker:
        yield fails(
            "exceptions from the audit",
            f"audit switched off: {', '.join(weaker)}",
            "ALTER ROLE / ALTER DATABASE ... RESET pgaudit.log.",
        )
    else:
        yield passes("exceptions from the audit", "no role and no database switches pgaudit off")
