# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""S-2: what counts as a credential in clear, where it is found, and how it is judged."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._readiness import check, leaks
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Age,
    Leaks,
    StoredLeaks,
    Thresholds,
    Unseen,
)
from ansible_collections.dbops.postgres.plugins.module_utils._secrets import scram_verifier
from tests.unit._readiness.good import good

VERIFIER = scram_verifier("x", iterations=1)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("DATABASE_URL=postgresql://app:Wq8sKd0a@db/x", True),
        ("url: postgres://app:Wq8sKd0a@db:6432/x?sslmode=require", True),
        ('"postgresql://app:p%40ss@db/x"', True),
        ("PGPASSWORD=Wq8sKd0a", True),
        ("DB_PASSWORD: 'Wq8sKd0a'", True),
        ("APP_DATABASE_PASSWORD = Wq8sKd0a", True),
        ("postgres_pass=Wq8sKd0a", True),
        ('"app" "md5' + "0" * 32 + '"', True),
        (f'"app" "{VERIFIER}"', True),
        ("postgresql://app@db/x", False),
        ("postgresql://user:password@localhost/x", False),
        ("postgresql://user:${PASSWORD}@localhost/x", False),
        ("postgresql://user:<password>@localhost/x", False),
        ("postgresql://user:********@localhost/x", False),
        ("https://user:Wq8sKd0a@host/x", False),
        ("DB_PASSWORD=", False),
        ("DB_PASSWORD=${DB_PASSWORD}", False),
        ("DB_PASSWORD=changeme", False),
        ("DB_PASSWORD=*****", False),
        ("DB_PASSWORD_FILE=/run/secrets/x", False),
        ("password required pam_unix.so", False),
        ("host all all samenet scram-sha-256", False),
        ("\0ELF DB_PASSWORD=Wq8sKd0a", False),
        ("", False),
    ],
)
def test_credentials_in_files(content: str, expected: bool) -> None:
    assert leaks.holds_credential(content.encode()) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PGPASSWORD=x", True),
        ("LANG=C API_TOKEN=x", True),
        ("A=1\nSMTP_PASSWORD=x\n", True),
        ("AWS_SECRET_ACCESS_KEY=x", True),
        ('"DB_PASSWORD=x y"', True),
        ("DATABASE_URL=postgresql://a:Wq8sKd0a@db/x", True),
        ("DATABASE_URL=postgresql://a@db/x", False),
        ("PASSWORD=", False),
        ("PASSWORD_FILE=/x", False),
        ("TOKENS=3", False),
        ("PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj", False),
        ("", False),
    ],
)
def test_credentials_in_environments(text: str, expected: bool) -> None:
    assert leaks.environment_credential(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ALTER ROLE a PASSWORD 'x'", True),
        ("create user a with encrypted password 'x'", True),
        ("ALTER ROLE a PASSWORD E'x'", True),
        ("ALTER ROLE a PASSWORD 'md5" + "0" * 32 + "'", True),
        ("connection to postgresql://a:Wq8sKd0a@db/x failed", True),
        (f"ALTER ROLE a PASSWORD '{VERIFIER}'", False),
        ("ALTER ROLE a PASSWORD '********'", False),
        ("ALTER ROLE a PASSWORD <REDACTED>", False),
        ("ALTER ROLE a PASSWORD NULL", False),
        ('password authentication failed for user "a"', False),
    ],
)
def test_passwords_in_statements(text: str, expected: bool) -> None:
    assert leaks.statement_credential(text) is expected


@pytest.mark.parametrize(
    ("verifier", "expected"),
    [
        (None, False),
        (scram_verifier("postgres", iterations=1), True),
        (scram_verifier("app", iterations=1), True),
        (scram_verifier("", iterations=1), True),
        (scram_verifier("app2", iterations=1), False),
        ("md5" + hashlib.md5(b"adminapp").hexdigest(), True),  # noqa: S324
        ("md5" + hashlib.md5(b"otherapp").hexdigest(), False),  # noqa: S324
    ],
)
def test_well_known_passwords(verifier: str | None, expected: bool) -> None:
    assert leaks.well_known("app", verifier) is expected


def test_files_are_searched_below_their_roots_and_by_who_can_read_them(tmp_path: Path) -> None:
    secret = "PGPASSWORD=Wq8sKd0a"
    for name, mode in (("open", 0o644), ("private", 0o600), ("below/open", 0o604), (".git/open", 0o644)):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(secret)
        path.chmod(mode)
    (tmp_path / "innocent").write_text("nothing")
    (tmp_path / "link").symlink_to(tmp_path / "private")
    assert list(leaks._files([str(tmp_path)])) == [str(tmp_path / "open"), str(tmp_path / "below/open")]


def of(subject: str, **changes: Any) -> tuple[Status, str]:
    found = check.judged(replace(good(), **changes), Thresholds(), check.select(["S-2"], []))
    (finding,) = [f for f in found if f.subject == subject]
    return finding.status, finding.evidence


@pytest.mark.parametrize(
    ("subject", "changes", "status"),
    [
        ("age of secrets", {"leaks": Leaks(ages=(Age("url", 90, 90),))}, Status.PASS),
        ("age of secrets", {"leaks": Leaks()}, Status.NOT_APPLICABLE),
        ("readable files", {"leaks": Unseen(Status.NOT_TESTED, "x")}, Status.NOT_TESTED),
        ("pg_stat_statements", {"stored_leaks": StoredLeaks((), (), Unseen(Status.ERROR, "x"))}, Status.ERROR),
        ("md5 verifiers", {"stored_leaks": Unseen(Status.NOT_TESTED, "x")}, Status.NOT_TESTED),
    ],
)
def test_what_is_young_or_unseen(subject: str, changes: dict[str, Any], status: Status) -> None:
    assert of(subject, **changes)[0] is status
