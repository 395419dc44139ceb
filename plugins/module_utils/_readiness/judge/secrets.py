# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""S-2 secrets management: no credential lies in clear, none is older than its policy."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import (
    Outcome,
    fails,
    irrelevant,
    names,
    none_of,
    passes,
    probe,
)
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import Observed, Thresholds, look


@probe("S-2", "process arguments", "5.1")
def no_password_in_arguments(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    host = look(seen.host)
    yield from none_of(
        sorted({*host.processes_with_password_argument, *host.processes_with_pgpassword}),
        "process arguments",
        "no process has a database password in its arguments, or PGPASSWORD in its environment, right now",
        "processes that show a password",
        "Use a sealed credential and a connection URL that is read from it.",
    )


@probe("S-2", "environments of units", "1.7")
def no_credential_in_units(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    yield from none_of(
        look(seen.leaks).units,
        "environments of units",
        "no unit has a credential in Environment= or in a file of EnvironmentFile=",
        "credentials in the environment of units",
        "Deliver them with LoadCredentialEncrypted= (role secrets).",
    )


@probe("S-2", "readable files")
def no_credential_in_readable_files(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    yield from none_of(
        look(seen.leaks).files,
        "readable files",
        "no file under /etc or a home directory shows a database credential to others",
        "files that others can read hold a credential",
        "Set mode 0600 (or 0400), and change the credential: it has been readable.",
    )


@probe("S-2", ".pgpass")
def pgpass_is_private(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    yield from none_of(
        look(seen.leaks).pgpass,
        ".pgpass",
        "every .pgpass is readable by its owner alone",
        "password files that others can read",
        "Set mode 0600, and change the passwords: they have been readable.",
    )


@probe("S-2", "server log")
def no_password_in_logs(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    yield from none_of(
        look(look(seen.leaks).logs),
        "server log",
        "no password in the newest log files",
        "log files that hold a password",
        "Change the password with a verifier (\\password of psql, or pg_access), and remove the log file.",
    )


@probe("S-2", "pg_stat_statements")
def no_password_in_statements(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    count = look(look(seen.stored_leaks).statements)
    yield from none_of(
        [f"{count} statement(s)"] if count else [],
        "pg_stat_statements",
        "no statement with a password is kept",
        "statements that set a password in clear",
        "Change the passwords with a verifier, then run pg_stat_statements_reset().",
    )


@probe("S-2", "well-known passwords", "5.6")
def passwords_are_not_well_known(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    stored = look(seen.stored_leaks)
    rest = f" ({stored.unchecked} more roles were not tried)" if stored.unchecked else ""
    yield from none_of(
        stored.guessed,
        "well-known passwords",
        f"no login has an empty or well-known password, or its own name{rest}",
        "logins with an empty or well-known password, or their own name",
        "Give them new passwords now.",
    )


@probe("S-2", "md5 verifiers", "5.6")
def verifiers_are_scram(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    yield from none_of(
        look(seen.stored_leaks).md5,
        "md5 verifiers",
        "no login has an md5 verifier, with which anybody who reads it could log in",
        "logins with an md5 verifier, with which anybody who reads it can log in",
        "Set password_encryption = 'scram-sha-256' and set these passwords again.",
    )


@probe("S-2", "age of secrets")
def secrets_are_rotated(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    ages = look(seen.leaks).ages
    if not ages:
        yield irrelevant("age of secrets", "No secret was delivered by the role secrets, so none has a recorded age.")
        return
    unreadable = [age.secret for age in ages if age.days < 0]
    if unreadable:
        yield fails("age of secrets", f"evidence that cannot be read: {names(unreadable)}", "Run the role secrets.")
    old = [f"{age.secret} ({age.days} of {age.max_age_days} days)" for age in ages if age.days > age.max_age_days]
    if old:
        yield fails("age of secrets", f"older than their policy: {names(old)}", "Run playbooks/rotate_secrets.yml.")
    if not old and not unreadable:
        oldest = max(ages, key=lambda age: age.days)
        yield passes("age of secrets", f"{len(ages)} secret(s), the oldest {oldest.secret}: {oldest.days} days")
