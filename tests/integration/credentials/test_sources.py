# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every source at once: what is missing is generated and published, delivered, rotated, and shown nowhere."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible.constants import DEFAULT_VAULT_ID_MATCH
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible_collections.dbops.postgres.plugins.module_utils._secrets import url_login
from tests.integration.credentials.conftest import play
from tests.integration.credentials.stores import TOKEN, Doppler, Store, Vault, aws, serving
from tests.integration.servers import Database
from tests.throwaway import Host

AWS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test-key-of-aws",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "ANSIBLE_HASHI_VAULT_TOKEN_VALIDATE": "true",
}
VAULT_PASSWORD = "test-password-of-a-vault"
KINDS = ("aws", "bao", "doppler", "vaultfile", "host", "value", "file")
GENERATED = ("aws", "bao", "doppler", "vaultfile", "host")
ROTATING = ("aws", "bao", "doppler")

# Samples what every process shows, some ten times per second.
SAMPLE = """
while [ -e /run/{name}.sampling ]; do
    sleep 0.05
    cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'
done | grep -aE '[A-Za-z0-9]{{40}}|canary' | sort -u >/run/{name}.seen
"""


@dataclass
class Estate:
    """A host, a database, and a store of each kind."""

    host: Host
    database: Database
    directory: Path
    aws_url: str
    vault: Store
    doppler: Store

    @property
    def prefix(self) -> str:
        return self.database.prefix

    def source(self, kind: str, name: str) -> dict[str, Any]:
        name = f"{self.prefix}{name}"
        vaulted = {"path": str(self.directory / f"{name}.vault"), "vault_password": VAULT_PASSWORD}
        sources: dict[str, dict[str, Any]] = {
            "aws": {"type": "aws_secretsmanager", "secret": name, "options": {"endpoint_url": self.aws_url}},
            "bao": {
                "type": "hashi_vault",
                "path": f"prod/{self.prefix}app",
                "field": name,
                "options": {"url": self.vault.url, "token": TOKEN, "auth_method": "token"},
            },
            "doppler": {
                "type": "doppler",
                "project": "shop",
                "config": "prd",
                "secret": name.upper(),
                "token": TOKEN,
                "url": self.doppler.url,
            },
            "vaultfile": {"type": "vault_file", **vaulted},
            "host": {"type": "host"},
            "value": {"type": "value", "value": f"canary-value-{self.prefix}"},
            "file": {"type": "file", "path": str(self.directory / "file")},
        }
        return sources[kind]

    def items(self) -> list[dict[str, Any]]:
        url = {"host": "127.0.0.1", "database": self.database.name, "parameters": {"sslmode": "require"}}
        found: list[dict[str, Any]] = [
            {
                "name": f"{self.prefix}{kind}_key",
                "source": self.source(kind, "key"),
                "generate": 0 if kind in ("value", "file") else 40,
            }
            for kind in KINDS
        ]
        found += [
            {
                "name": f"{self.prefix}{kind}_url",
                "source": self.source(kind, "url"),
                "url": url,
                "rotate": {"role": f"{self.prefix}{kind}", "grace_seconds": 0},
            }
            for kind in ROTATING
        ]
        unit = f"{self.prefix}app.service"
        return [{**item, "consumers": [{"unit": unit, "apply": "none"}]} for item in found]

    def run(self, *arguments: str, now: bool = False) -> str:
        variables = {
            "secrets_hosts": "all",
            "secrets_items": self.items(),
            "secrets_rotate_now": ["all"] if now else [],
        }
        plays = [{"import_playbook": "dbops.postgres.rotate_secrets", "vars": variables}]
        status, output = play(plays, self.host, self.directory, *arguments)
        assert status == 0, output[-5000:]
        return output

    def delivered(self, name: str) -> str:
        path = f"/etc/credstore.encrypted/{self.prefix}{name}"
        return self.host.run("systemd-creds", "decrypt", f"--name={self.prefix}{name}", "--newline=no", path, "-")

    def kept(self, kind: str, name: str) -> str:
        """What the store holds, asked without this collection."""
        full = f"{self.prefix}{name}"
        if kind == "aws":
            client = boto3.client("secretsmanager", endpoint_url=self.aws_url)
            return str(client.get_secret_value(SecretId=full)["SecretString"])
        if kind == "bao":
            return str(self.vault.secrets[f"prod/{self.prefix}app"][-1][full])
        if kind == "doppler":
            return str(self.doppler.secrets[f"shop/prd/{full.upper()}"])
        if kind == "vaultfile":
            path = self.directory / f"{full}.vault"
            assert path.stat().st_mode & 0o777 == 0o600
            lib = VaultLib([(DEFAULT_VAULT_ID_MATCH, VaultSecret(VAULT_PASSWORD.encode()))])
            return str(lib.decrypt(path.read_bytes()).decode())
        return self.delivered(f"{kind}_{name}")

    @contextmanager
    def sampled(self, found: list[str]) -> Generator[None, None, None]:
        """Sample the processes of the host, and of this machine, into ``found``."""
        name = self.database.name
        self.host.run("touch", f"/run/{name}.sampling")
        there = subprocess.Popen(self.host.ssh_command("sh", "-c", SAMPLE.format(name=name)))
        end = threading.Event()

        def here() -> None:
            while not end.wait(0.1):
                for entry in os.scandir("/proc"):
                    if entry.name.isdigit():
                        try:
                            found.append(Path(entry.path, "cmdline").read_text(errors="replace"))
                        except OSError:
                            continue

        thread = threading.Thread(target=here)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()
            self.host.run("rm", f"/run/{name}.sampling")
            there.wait(30)
            found.append(self.host.run("cat", f"/run/{name}.seen"))


@pytest.fixture
def estate(
    pg_database: Database, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[Estate, None, None]:
    for name, text in AWS.items():
        monkeypatch.setenv(name, text)
    (tmp_path / "file").write_text(f"canary-file-{pg_database.prefix}\n")
    connection = pg_database.connect()
    with connection.cursor() as cursor:
        for kind in ROTATING:
            role = f"{pg_database.prefix}{kind}"
            cursor.execute(
                f"CREATE ROLE {role}; CREATE ROLE {role}_a IN ROLE {role}; CREATE ROLE {role}_b IN ROLE {role}"
            )
        cursor.execute("CREATE EXTENSION pg_stat_statements")
        cursor.execute("ALTER SYSTEM SET log_statement = 'all'")
        cursor.execute("SELECT pg_reload_conf()")
    with aws() as url, serving(Vault) as vault, serving(Doppler) as doppler:
        vault.secrets[f"prod/{pg_database.prefix}app"] = [{"another": "field"}]
        yield Estate(host, pg_database, tmp_path, url, vault, doppler)
    with connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM RESET log_statement")
        cursor.execute("SELECT pg_reload_conf()")
    connection.close()
    host.run(
        "sh", "-c", f"rm -rf /etc/credstore.encrypted/{pg_database.prefix}* /etc/systemd/system/{pg_database.prefix}*"
    )
    host.run("sh", "-c", f"rm -f /var/lib/dbops-postgres/evidence/*{pg_database.prefix}* /run/{pg_database.name}*")


def test_every_source_is_filled_delivered_rotated_and_shown_nowhere(estate: Estate) -> None:
    shown: list[str] = []
    values: set[str] = set()

    def collect() -> None:
        for kind in GENERATED:
            assert estate.kept(kind, "key") == estate.delivered(f"{kind}_key"), kind
            values.add(estate.delivered(f"{kind}_key"))
        for kind in ROTATING:
            assert estate.kept(kind, "url") == estate.delivered(f"{kind}_url"), kind
            login = url_login(estate.delivered(f"{kind}_url"))
            assert login is not None
            values.add(login[1])
            connection = estate.database.connect(*login)
            connection.close()

    with estate.sampled(shown):
        estate.host.run("sh", "-c", "sleep 1 # canary-of-the-sampler")
        shown.append(estate.run("-vvv", "--diff"))
        collect()
        assert estate.delivered("value_key") == f"canary-value-{estate.prefix}"
        assert estate.delivered("file_key") == f"canary-file-{estate.prefix}"
        again = estate.run("-vvv", "--diff")
        assert re.search(r"changed=0 .*failed=0", again), again[-3000:]
        shown.append(again)
        before = {kind: estate.delivered(f"{kind}_url") for kind in ROTATING}
        shown.append(estate.run("-vvv", "--diff", now=True))
        collect()
    assert "canary-of-the-sampler" in shown[-1]
    for kind in ROTATING:
        old, new = url_login(before[kind]), url_login(estate.delivered(f"{kind}_url"))
        assert old is not None
        assert new is not None
        assert {old[0][-2:], new[0][-2:]} == {"_a", "_b"}
    assert estate.vault.secrets[f"prod/{estate.prefix}app"][-1]["another"] == "field"
    assert len(values) == len(GENERATED) + 2 * len(ROTATING)

    values |= {
        f"canary-value-{estate.prefix}",
        f"canary-file-{estate.prefix}",
        TOKEN,
        VAULT_PASSWORD,
        "test-key-of-aws",
    }
    for value in values:
        assert not [text[:200] for text in shown if value in text]
    patterns = "\n".join(values)
    search = "grep -rlaF -f /dev/stdin /etc /home /opt /root /run /srv /tmp /var --exclude-dir=credentials || true"
    assert estate.host.run("sh", "-c", search, text=patterns) == ""  # journal, PostgreSQL's log and data included
    journal = "cat >/dev/shm/p; journalctl --no-pager -o cat | grep -acF -f /dev/shm/p; rm /dev/shm/p"
    assert estate.host.run("sh", "-c", journal, text=patterns).strip() == "0"
    connection = estate.database.connect()
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(query, ' ') FROM pg_stat_statements")
        row = cursor.fetchone()
    connection.close()
    assert row is not None
    assert not [value for value in values if value in row[0]]


def test_a_wrong_token_is_no_missing_secret(estate: Estate) -> None:
    source = {
        **estate.source("bao", "key"),
        "options": {"url": estate.vault.url, "token": "wrong", "auth_method": "token"},
    }
    for wrong in (source, {**estate.source("doppler", "key"), "token": "wrong"}):
        variables = {"secrets_items": [{"name": "x", "source": wrong, "generate": 40}]}
        plays = [{"hosts": "all", "gather_facts": False, "vars": variables, "roles": ["dbops.postgres.secrets"]}]
        status, output = play(plays, estate.host, estate.directory)
        assert status != 0, output
        assert TOKEN not in output
    assert estate.doppler.secrets == {}
    assert estate.vault.secrets == {f"prod/{estate.prefix}app": [{"another": "field"}]}
