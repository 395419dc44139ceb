# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: the host of each server with the collection's code on it, and drills there."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.backup.s3 import KEYS, S3Server
from tests.integration.servers import GROUP, Database, Server, create_database, drop_database
from tests.throwaway import CHECKOUT, Host, hosts

CODE = "/opt/dbops"
SCRIPT = Path(__file__).with_name("on_host.py")
HOME = "/var/lib/postgresql"
SCRATCH = f"{HOME}/scratch"
SETS = f"{HOME}/sets"
LOCAL = f"{HOME}/backups"
CREDENTIALS = "/run/dbops-test-credentials"
GO = "/run/dbops-test-go"


def host_of(server: Server) -> Host:
    """The throwaway host on which the server runs."""
    return next(host for host in hosts(GROUP) if host.address == server.host)


def psql(host: Host, database: str, text: str) -> str:
    """Run statements as the superuser on the host, each in a transaction of its own."""
    command = ("runuser", "-u", "postgres", "--", "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database)
    return host.run(*command, text=text).strip()


@dataclass(frozen=True)
class Held:
    """What a drill left: its exit status (negative: killed), its receipt, all that it said."""

    status: int
    receipt: dict[str, Any]
    said: str

    @property
    def problems(self) -> list[str]:
        """Everything that did not hold."""
        return [problem for step in self.receipt["steps"] for problem in step["problems"]]

    def step(self, name: str) -> dict[str, Any]:
        """One step of the receipt."""
        found: dict[str, Any] = next(step for step in self.receipt["steps"] if step["name"] == name)
        return found


@dataclass(frozen=True)
class DrillHost:
    """A host with the collection's code on it."""

    host: Host
    server: Server

    def make(self, set_id: str, databases: Sequence[str], *options: str) -> str:
        """Make a set; its directory."""
        self.host.run("rm", "-rf", f"{SETS}/{set_id}")
        self.host.run(
            *("runuser", "-u", "postgres", "--", "python3", f"{CODE}/on_host.py", "make", SETS, set_id),
            *databases,
            *options,
        )
        return f"{SETS}/{set_id}"

    def killed_drills(self, steps: Sequence[str]) -> str:
        """A drill for each step, killed as that begins; all that they said."""
        command = ("python3", f"{CODE}/on_host.py", "killed-drills", SETS, json.dumps({"scratch": SCRATCH}), *steps)
        done = subprocess.run(
            self.host.ssh_command("runuser", "-u", "postgres", "--", *command),
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        ends = [json.loads(line) for line in done.stdout.splitlines()]
        assert ends == [[step, -signal.SIGKILL] for step in steps], done.stderr[-2000:]
        return done.stderr

    def drill(self, *, root: bool = False, kill: str = "", deadlock: str = "", **config: Any) -> Held:
        """Hold a drill, by default as postgres."""
        text = json.dumps({"scratch": SCRATCH, **config})
        user = [] if root else ["runuser", "-u", "postgres", "--"]
        command = [
            *user,
            "env",
            f"DBOPS_KILL={kill}",
            f"DBOPS_DEADLOCK={deadlock}",
            "PGHOST=192.0.2.1",
            "PGDATABASE=nowhere",
            "PGOPTIONS=-c x.y=z",
        ]
        command += ["python3", f"{CODE}/on_host.py", "drill", SETS, text]
        done = subprocess.run(self.host.ssh_command(*command), capture_output=True, text=True, timeout=300, check=False)
        receipt = json.loads(done.stdout) if done.stdout.strip() else {}
        return Held(done.returncode, receipt, done.stderr)

    def restore(
        self, *, root: bool = False, kill: str = "", deadlock: str = "", **spec: Any
    ) -> tuple[int, dict[str, Any], str]:
        """Restore, by default as postgres: status, what was done, all that was said."""
        user = [] if root else ["runuser", "-u", "postgres", "--"]
        command = [*user, "env", f"DBOPS_KILL={kill}", f"DBOPS_DEADLOCK={deadlock}"]
        command += ["python3", f"{CODE}/on_host.py", "restore", SETS]
        done = subprocess.run(
            self.host.ssh_command(*command, json.dumps(spec)), capture_output=True, text=True, timeout=300, check=False
        )
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else {}, done.stderr

    def left(self) -> list[str]:
        """What is in the scratch directory and which servers of it run: nothing, after a drill."""
        found = self.host.run("sh", "-c", f"ls {SCRATCH} 2>/dev/null; pgrep -a postgres | grep {SCRATCH} || true")
        return [line for line in found.splitlines() if line != "lock"]

    def edit(self, set_id: str, statement: str) -> None:
        """Change a manifest ``m`` (and the directory ``d`` of its set) by Python, and complete the set again."""
        script = (
            "import sys, json, pathlib, hashlib; sys.path.insert(0, '/opt/dbops')\n"
            "from ansible_collections.dbops.postgres.plugins.module_utils._backup.manifest import complete\n"
            f"d = pathlib.Path({SETS!r}, {set_id!r}); m = json.loads((d / 'manifest.json').read_text())\n"
            "def stored(o, data):\n"
            "    (d / o['name']).write_bytes(data)\n"
            "    o.update(size=len(data), sha256=hashlib.sha256(data).hexdigest())\n"
            f"{statement}\n"
            "t = json.dumps(m); (d / 'manifest.json').write_text(t); (d / 'complete.json').write_text(complete(t))\n"
        )
        self.host.run("runuser", "-u", "postgres", "--", "python3", "-", text=script)


def install(host: Host, code: str = CODE, script: Path = SCRIPT) -> None:
    """Put today's code and the script of a folder of tests on the host."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(
            CHECKOUT / "plugins" / "module_utils",
            "ansible_collections/dbops/postgres/plugins/module_utils",
            filter=lambda item: None if "__pycache__" in item.name else item,
        )
        archive.add(script, "on_host.py")
    unpack = f"rm -rf {code}; mkdir -p {code}; tar -xf - -C {code} --no-same-owner"
    # Compiled once, since postgres may not write there.
    unpack += f"; python3 -m compileall -q {code}; chmod -R a+rX {code}"
    packages = "apt-get -q install --yes --no-install-recommends age zstd python3-boto3 >/dev/null"
    command = host.ssh_command("sh", "-c", f"export DEBIAN_FRONTEND=noninteractive; {packages}; {unpack}")
    subprocess.run(command, input=packed.getvalue(), check=True, timeout=300)


def capabilities(job: str) -> list[str]:
    """Of the unit of a job, as setpriv(1) names them."""
    role = {"backup": "backup", "drill": "restore_drill"}[job]
    unit = (CHECKOUT / "roles" / role / "templates" / f"dbops-postgres-{job}.service.j2").read_text()
    found = re.search(r"^CapabilityBoundingSet=(.+)$", unit, re.MULTILINE)
    assert found
    return [name.removeprefix("CAP_").lower() for name in found[1].split()]


def forget(host: Host) -> None:
    """Make the host one without backups: it is shared with other tests, and a run that was killed leaves its own."""
    units = "s3 busy 's3-proxy-*'"
    places = f"/etc/dbops-postgres /var/lib/dbops-postgres {CREDENTIALS} {LOCAL} {SCRATCH} {SETS}"
    # A throwaway server or a small file system of a test that was killed.
    script = f"""
systemctl stop {units} 2>/dev/null; systemctl reset-failed {units} 2>/dev/null
pkill -QUIT -f '^/usr/lib/postgresql/[0-9]*/bin/postgres -D {SCRATCH}/'
while pgrep -f '^/usr/lib/postgresql/[0-9]*/bin/postgres -D {SCRATCH}/' >/dev/null; do sleep 0.1; done
for place in $(awk '$3 == "tmpfs" {{ print $2 }}' /proc/mounts | grep -E '^({HOME}|/srv/s3)'); do umount "$place"; done
rm -rf {places}
"""
    host.run("sh", "-c", script)


@dataclass(frozen=True)
class Saver:
    """A host whose databases are backed up to an S3 server and a directory, encrypted."""

    host: Host
    server: Server
    s3: S3Server
    recipient: str

    def configure(self, targets: Sequence[dict[str, object]], databases: Sequence[str], **backup: object) -> None:
        """Write the configuration."""
        given = {
            "recipients": [self.recipient],
            "databases": list(databases),
            "keep": {"days": 0, "minimum": 3},
            **backup,
        }
        text = json.dumps({"targets": list(targets), "backup": given})
        self.host.run("sh", "-c", "cat >/etc/dbops-postgres/backup.json", text=text)

    def start(self, *arguments: str, **environment: object) -> subprocess.Popen[str]:
        """The program as its unit runs it: as root with few capabilities, and with credentials."""
        kept = ",".join(f"+{name}" for name in capabilities("drill" if arguments[0] == "drill" else "backup"))
        given = [f"{name}={value}" for name, value in environment.items()]
        command = self.host.ssh_command(
            *("setpriv", f"--bounding-set=-all,{kept}", "--inh-caps=-all"),
            *("env", f"DBOPS_CODE={CODE}", f"CREDENTIALS_DIRECTORY={CREDENTIALS}", *given),
            *("python3", f"{CODE}/on_host.py", "program", *arguments),
        )
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *arguments: str, **environment: object) -> tuple[int, str]:
        """The status of the program, and all that it said."""
        process = self.start(*arguments, **environment)
        out, said = process.communicate(timeout=300)
        assert KEYS["secret_access_key"] not in out + said
        return process.returncode, out + said

    def killed(self) -> list[tuple[int, list[list[str]]]]:
        """A backup for each moment at which one can be killed, until one gets to its end: how it ended, and what was
        complete at each target then."""
        command = ("env", f"DBOPS_CODE={CODE}", f"CREDENTIALS_DIRECTORY={CREDENTIALS}", "python3", f"{CODE}/on_host.py")
        done = subprocess.run(
            self.host.ssh_command(*command, "killed"), capture_output=True, text=True, timeout=500, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [tuple(json.loads(line)) for line in done.stdout.splitlines()]

    def status(self) -> list[dict[str, Any]]:
        """What is at the targets."""
        _status, said = self.run("status", "--json")
        found: list[dict[str, Any]] = json.loads(said.splitlines()[-1])["targets"]
        return found

    def complete(self) -> list[list[str]]:
        """The complete sets at each target, the newest first."""
        return [[item["id"] for item in place["sets"] if item["complete"]] for place in self.status()]

    def evidence(self) -> dict[str, Any]:
        """What the last run left."""
        found: dict[str, Any] = json.loads(self.host.run("cat", "/var/lib/dbops-postgres/evidence/backup.json"))
        return found

    def clear(self) -> None:
        """No sets, no receipts."""
        self.s3.clear()
        self.host.run("sh", "-c", f"rm -rf {LOCAL} /var/lib/dbops-postgres; mkdir -m 0700 {LOCAL}")


@pytest.fixture(scope="module")
def saver(pg_server: Server) -> Iterator[Saver]:
    """The host of the server with today's code, an S3 server and a key."""
    host = host_of(pg_server)
    install(host)
    forget(host)
    s3 = S3Server(host)
    s3.install()
    s3.start()
    host.run(
        "sh",
        "-ceu",
        f"mkdir -p /etc/dbops-postgres; mkdir -p -m 0700 {CREDENTIALS}; cat >{CREDENTIALS}/backup_target_offsite;"
        f"rm -f {CREDENTIALS}/backup_identity; age-keygen -o {CREDENTIALS}/backup_identity 2>/dev/null",
        text=json.dumps(KEYS),
    )
    made = Saver(host, pg_server, s3, host.run("age-keygen", "-y", f"{CREDENTIALS}/backup_identity").strip())
    yield made
    s3.stop()
    forget(host)


@pytest.fixture(scope="module")
def drill_host(pg_server: Server) -> DrillHost:
    """The host of the server, with today's code. A set that a run which was killed has left would be the newest."""
    host = host_of(pg_server)
    install(host)
    forget(host)
    return DrillHost(host, pg_server)


@pytest.fixture(scope="module")
def shop(drill_host: DrillHost) -> Iterator[Database]:
    """A small database with a role, an extension and a table of 1,000 rows; and its set ``20261124T010000Z-a``."""
    database = create_database(drill_host.server)
    psql(
        drill_host.host,
        database.name,
        f"CREATE ROLE {database.prefix}app; CREATE EXTENSION hstore;"
        "CREATE TABLE payments (id int PRIMARY KEY, at timestamptz DEFAULT now(), card text);"
        "CREATE TABLE other AS SELECT 1 AS a;"
        "INSERT INTO payments SELECT i, now() - i * interval '1 min', md5(i::text) FROM generate_series(0, 999) i;"
        f"GRANT SELECT ON payments TO {database.prefix}app;",
    )
    drill_host.make("20261124T010000Z-a", [database.name])
    yield database
    drop_database(database)
