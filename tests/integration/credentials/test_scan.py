# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules for gitleaks find planted credentials in the history, also in what was removed since, and nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible_collections.dbops.postgres.plugins.module_utils._secrets import scram_verifier
from tests.scan import history
from tests.throwaway import CHECKOUT

PLANTED = {
    "connection-url": "DATABASE_URL=postgresql://app:Wq8sKd0aTz@db.example.com:6432/payments?sslmode=require",
    "connection-string": '"Host=db.example.com;Database=tableworks;Username=app;Password=Wq8sKd0aTz"',
    "role-password": "ALTER ROLE payments_prod_app LOGIN PASSWORD 'Wq8sKd0aTz';",
    "password-verifier": f"payments: {scram_verifier('Wq8sKd0aTz')}",
}
PGPASS = "db.example.com:5432:payments:app:Wq8sKd0aTz"
INNOCENT = """
DATABASE_URL=postgresql://app:password@localhost/payments
DATABASE_URL=postgresql://app:${PASSWORD}@db/payments
DATABASE_URL=postgresql://app:<password>@db/payments
DATABASE_URL="postgresql://app:{{ vault_password }}@db/payments"
DATABASE_URL=postgresql://app@db/payments?sslmode=verify-full
"Host=db;Database=x;Username=app;Password=${PASSWORD}"
ALTER ROLE app PASSWORD :'password';
ALTER ROLE app PASSWORD '********';
hostssl all all 192.0.2.0/24 scram-sha-256
"""


def git(repository: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.test", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=repository, check=True, capture_output=True)


def test_planted_credentials_are_found_in_what_was_removed_since(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    for rule, text in PLANTED.items():
        (tmp_path / f"{rule}.txt").write_text(f"{text}\n")
    (tmp_path / ".pgpass").write_text(f"{PGPASS}\n")
    (tmp_path / "innocent.txt").write_text(INNOCENT)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "planted")
    git(tmp_path, "rm", "-q", *(f"{rule}.txt" for rule in PLANTED), ".pgpass")
    git(tmp_path, "commit", "-qm", "removed")
    found = history(tmp_path, CHECKOUT, ["docs/ci/gitleaks.toml"])
    by_file = {(leak["File"], leak["RuleID"]) for leak in found}
    assert by_file >= {(f"{rule}.txt", rule) for rule in PLANTED} | {(".pgpass", "pgpass")}
    assert not [leak for leak in found if leak["File"] == "innocent.txt"]
    assert "Wq8sKd0aTz" not in str(found)
