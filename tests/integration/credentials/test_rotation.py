# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotation on real hosts, under load: no query fails, whatever step it is killed at."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._secrets import url_login
from tests.integration.credentials.conftest import play
from tests.integration.servers import Database
from tests.throwaway import Host

# Runs pgbench over and over with the credential that it was started with, and connects anew for each transaction. At
# SIGTERM it lets the run end that it is in, as a service does that shuts down in order. pgbench gets the password from
# its runtime directory.
LOAD = r"""#!/usr/bin/python3
import os, signal, subprocess, sys
from urllib.parse import unquote, urlsplit
parts = urlsplit(open(f"{os.environ['CREDENTIALS_DIRECTORY']}/{sys.argv[1]}").read())
passfile = f"{os.environ['RUNTIME_DIRECTORY']}/pgpass"
with open(os.open(passfile, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
    file.write(f"*:*:*:*:{unquote(parts.password)}\n")
end = False
def stop(*_):
    global end
    end = True
signal.signal(signal.SIGTERM, stop)
line = ["pgbench", "-n", "-C", "-c", "2", "-R", "40", "-T", "1", "-f", sys.argv[2], "-h", parts.hostname,
        "-p", str(parts.port), "-U", unquote(parts.username), parts.path.strip("/")]
while not end:
    done = subprocess.run(line, env={**os.environ, "PGPASSFILE": passfile, "PGSSLMODE": "require"}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    print(f"user={unquote(parts.username)} status={done.returncode}", flush=True)
    print(done.stdout, flush=True)
"""

TRANSACTION = r"""\set id random(1, 1000)
UPDATE public.t SET n = n + 1 WHERE id = :id;
SELECT n FROM public.t WHERE id = :id;
"""

STEPS = (
    "give a new password to the idle login",
    "Write it to a file of Ansible Vault",
    "Deliver it",
    "Restart {unit0}",
    "Prove the connection of {unit1}",
    "Record that the consumers use it",
    "Close the other login",
)


@dataclass
class Service:
    """A service with two consumers under load, its secret, and where that is kept."""

    host: Host
    database: Database
    directory: Path
    role: str

    @property
    def name(self) -> str:
        return f"{self.role}_url"

    @property
    def units(self) -> list[str]:
        return [f"{self.role}{number}.service" for number in range(2)]

    def rotate(
        self, *, now: bool = False, kill_at: str = "", grace: int = 0, source: str = "vault_file", timeout: int = 60
    ) -> str:
        """Run the role, as the playbook does."""
        vault = {"type": "vault_file", "path": str(self.directory / "vault"), "vault_password": "test"}
        item = {
            "name": self.name,
            "source": vault if source == "vault_file" else {"type": source},
            "url": {"host": "127.0.0.1", "database": self.database.name, "parameters": {"sslmode": "require"}},
            "consumers": [{"unit": unit} for unit in self.units],
            "rotate": {"role": self.role, "grace_seconds": grace},
        }
        variables = {
            "secrets_items": [item],
            "secrets_rotate_now": ["all"] if now else [],
            "secrets_prove_timeout": timeout,
        }
        plays = [{"hosts": "all", "gather_facts": False, "roles": ["dbops.postgres.secrets"], "vars": variables}]
        status, output = play(plays, self.host, self.directory, "-v", kill_at=kill_at)
        assert status == (-9 if kill_at else 0), output
        return output

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        connection = self.database.connect()
        with connection.cursor() as cursor:
            cursor.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
        connection.close()
        return rows

    def open_logins(self) -> list[str]:
        query = (
            f"SELECT rolname FROM pg_authid WHERE rolname LIKE '{self.role}\\__' AND rolcanlogin AND rolpassword <> ''"
        )
        return sorted(name for (name,) in self.sql(query))

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.host.run("cat", f"/var/lib/dbops-postgres/evidence/rotation-{self.name}.json")
        )
        return found

    def delivered(self) -> tuple[str, str]:
        path = f"/etc/credstore.encrypted/{self.name}"
        url = self.host.run("systemd-creds", "decrypt", f"--name={self.name}", "--newline=no", path, "-")
        login = url_login(url)
        assert login is not None
        return login

    def load(self) -> tuple[int, int, set[str]]:
        """Transactions that the load has made so far, those of its runs that had a failure, and its logins."""
        text = "".join(self.host.run("cat", f"/var/log/{unit}.log") for unit in self.units)
        runs = re.findall(r"user=(\S+) status=(\d+)", text)
        failed = [run for run in runs if run[1] != "0"] + re.findall(
            r"number of failed transactions: [1-9].*|FATAL.*|ERROR.*|aborted.*", text
        )
        assert not failed, text[-3000:]
        done = sum(map(int, re.findall(r"actually processed: (\d+)", text)))
        return done, len(runs), {user for user, _status in runs}

    def wait_for_load(self) -> None:
        """Until each consumer has made a run."""
        end = time.monotonic() + 60
        while not all("user=" in self.host.run("cat", f"/var/log/{unit}.log") for unit in self.units):
            assert time.monotonic() < end
            time.sleep(0.2)


@pytest.fixture
def service(pg_database: Database, host: Host, tmp_path: Path) -> Generator[Service, None, None]:
    made = Service(host, pg_database, tmp_path, f"{pg_database.prefix}app")
    made.sql(
        f"CREATE ROLE {made.role}; CREATE ROLE {made.role}_a IN ROLE {made.role}; CREATE ROLE {made.role}_b IN ROLE "
        f"{made.role}; CREATE TABLE public.t AS SELECT g AS id, 0 AS n FROM generate_series(1, 1000) g; "
        f"GRANT SELECT, UPDATE ON public.t TO {made.role}"
    )
    host.run("sh", "-c", "cat >/usr/local/bin/pgload && chmod 755 /usr/local/bin/pgload", text=LOAD)
    host.run("tee", "/usr/local/share/pgload.sql", text=TRANSACTION)
    for unit in made.units:
        text = f"""[Service]
DynamicUser=yes
RuntimeDirectory={unit}
ExecStart=/usr/local/bin/pgload {made.name} /usr/local/share/pgload.sql
StandardOutput=append:/var/log/{unit}.log
TimeoutStopSec=30
"""
        host.run("tee", f"/etc/systemd/system/{unit}", text=text)
    host.run("systemctl", "daemon-reload")
    yield made
    host.run("systemctl", "stop", *made.units)
    host.run("sh", "-c", f"rm -rf /etc/systemd/system/{made.role}* /etc/credstore.encrypted/{made.role}*")
    host.run("sh", "-c", f"rm -rf /var/log/{made.role}* /var/lib/dbops-postgres/evidence/*{made.role}*")
    host.run("systemctl", "daemon-reload")


@pytest.mark.parametrize(
    ("pg_server", "source"), [(15, "host"), (17, "vault_file")], indirect=["pg_server"], ids=["pg15", "pg17"]
)
def test_a_service_under_load_is_rotated_without_a_failed_query(service: Service, source: str) -> None:
    a, b = f"{service.role}_a", f"{service.role}_b"
    service.rotate(source=source)
    assert service.open_logins() == [a]
    service.host.run("systemctl", "start", *service.units)
    before = service.delivered()
    assert before[0] == a

    output = service.rotate(now=True, grace=3600, source=source)
    assert "s left of its grace period" in output, output
    assert service.open_logins() == [a, b]
    assert service.delivered()[0] == b
    assert service.delivered()[1] != before[1]
    assert before[1] not in output
    assert service.delivered()[1] not in output

    service.rotate(source=source)
    assert service.open_logins() == [b]
    assert "changed=0" in service.rotate(source=source)
    done, runs, users = service.load()
    assert users == {a, b}
    print(f"{done} transactions in {runs} runs, 0 failed")
    assert done > 100


@pytest.mark.parametrize("pg_server", [17], indirect=True, ids=["pg17"])
def test_a_rotation_that_is_killed_is_carried_on_and_no_query_fails(service: Service) -> None:
    service.rotate()
    service.host.run("systemctl", "start", *service.units)
    for number, step in enumerate(STEPS):
        name = step.format(unit0=service.units[0], unit1=service.units[1])
        before = service.record()["active"]
        service.rotate(now=True, kill_at=name)
        time.sleep(secrets.randbelow(5) / 10)
        assert service.delivered()[0] in service.open_logins(), name
        service.rotate()
        assert service.record()["active"] == service.delivered()[0], name
        assert service.open_logins() == [service.delivered()[0]], name
        # Before anything was published the new password is lost and its login stays idle; afterwards it is in use.
        published = number > STEPS.index("Write it to a file of Ansible Vault")
        if step != "Write it to a file of Ansible Vault":
            assert (service.record()["active"] != before) is published, name
    done, runs, users = service.load()
    print(f"{len(STEPS)} kills, {done} transactions in {runs} runs, 0 failed")
    assert len(users) == 2


@pytest.mark.parametrize("pg_server", [17], indirect=True, ids=["pg17"])
def test_what_is_not_proven_is_not_recorded_and_leaves_the_old_login_open(service: Service) -> None:
    service.rotate()
    service.host.run("systemctl", "start", *service.units)
    service.wait_for_load()  # else it is the program below that starts now
    service.host.run("sh", "-c", "printf '#!/bin/sh\nexec sleep infinity\n' >/usr/local/bin/pgload")  # never connects
    with pytest.raises(AssertionError) as caught:
        service.rotate(now=True, timeout=2)
    assert "No connection of" in str(caught.value)
    assert service.record()["active"] == f"{service.role}_a"
    assert service.open_logins() == [f"{service.role}_a", f"{service.role}_b"]
