# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: the host of each server with the collection's code on it, one database as template, and runs there."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.backup.conftest import host_of, install
from tests.integration.servers import Server
from tests.throwaway import Host

CODE = "/opt/dbops-migrate"
FILES = "/root/dbops-migrate"
SETS = "/var/lib/postgresql/migrate-sets"
# In memory: a run makes a cluster, and that is what takes its time.
FAST = "/var/lib/postgresql/migrate-fast"
SCRATCH = f"{FAST}/scratch"
TEMPLATE = "mig_template"
DROP = "SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE datname LIKE 'mig\\_%' \\gexec\n"
OWNER = "migrate_owner"
SCHEMA = f"""
CREATE TABLE customers (id int PRIMARY KEY, email text NOT NULL);
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int NOT NULL REFERENCES customers,
                     total numeric(10, 2) NOT NULL DEFAULT 0, note text);
INSERT INTO customers SELECT i, 'customer' || i || '@example.com' FROM generate_series(1, 200) i;
INSERT INTO orders (customer, total) SELECT 1 + i % 200, i FROM generate_series(1, 2000) i;
CREATE VIEW totals AS SELECT customer, sum(total) AS total FROM orders GROUP BY customer;
ALTER TABLE customers OWNER TO {OWNER}; ALTER TABLE orders OWNER TO {OWNER}; ALTER VIEW totals OWNER TO {OWNER};
"""
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'dbops%'"
# True on the copy, false on the live server: what a rehearsal cannot see.
ON_COPY = "current_setting('cluster_name') LIKE 'drill-%'"


@dataclass(frozen=True)
class Ended:
    """How a run ended: its status (negative: killed), its record, all that it said."""

    status: int
    record: dict[str, Any]
    said: str

    def stage(self, name: str) -> dict[str, Any]:
        """One stage of the record."""
        found: dict[str, Any] = next(stage for stage in self.record["stages"] if stage["name"] == name)
        return found


@dataclass(frozen=True)
class MigrateHost:
    """A host with the collection's code on it, and backups into a directory."""

    host: Host
    server: Server

    def psql(self, database: str, text: str) -> str:
        """Run statements as the superuser."""
        command = ("runuser", "-u", "postgres", "--", "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database)
        return self.host.run(*command, text=text).strip()

    def look(self, database: str) -> dict[str, Any]:
        """Everything that is in a database."""
        found: dict[str, Any] = json.loads(self.host.run("python3", f"{CODE}/on_host.py", "look", database))
        return found

    def write(self, database: str, files: Mapping[str, str]) -> str:
        """Put the files of a source on the host; their folder."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, text in files.items():
                item = tarfile.TarInfo(name)
                item.size = len(text.encode())
                archive.addfile(item, io.BytesIO(text.encode()))
        folder = f"{FILES}/{database}"
        command = self.host.ssh_command("sh", "-c", f"rm -rf {folder}; mkdir -p {folder}; tar -xf - -C {folder}")
        subprocess.run(command, input=packed.getvalue(), check=True, timeout=60)
        return folder

    def migrate(
        self, database: str, files: Mapping[str, str], faults: Mapping[str, object] | None = None, **params: object
    ) -> Ended:
        """A run."""
        return self.ended(self.start(database, files, faults, **params))

    def start(
        self, database: str, files: Mapping[str, str], faults: Mapping[str, object] | None = None, **params: object
    ) -> subprocess.Popen[str]:
        """A run that goes on."""
        given = {
            "database": database,
            "path": self.write(database, files) if files else "",
            "login_port": 5432,
            "backoff": 0.1,
            "backup_config": f"{FILES}/backup.json",
            "drill_config": f"{FILES}/drill.json",
            **params,
        }
        variables = [f"{name}={value}" for name, value in (faults or {}).items()]
        command = ["env", *variables, "python3", f"{CODE}/on_host.py", "migrate"]
        return subprocess.Popen(
            self.host.ssh_command(*command, json.dumps(given)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self, process: subprocess.Popen[str]) -> Ended:
        """What became of it."""
        out, said = process.communicate(timeout=300)
        return Ended(process.returncode, json.loads(out) if out.strip() else {}, said)

    def trace(self, database: str) -> str:
        """What a run could leave on the host and on the server, besides the database itself."""
        # The lock of the scratch directory is not a run's own.
        places = f"/var/lib/dbops-postgres /run/dbops-postgres /etc/dbops-postgres {FAST} {SETS}"
        files = self.host.run(
            "sh",
            "-c",
            f"find {places} ! -type d -printf '%p %s\\n' 2>/dev/null | grep -vE '^{FAST}/(initialised|scratch/lock)' |"
            f" sort; pgrep -a postgres | grep {SCRATCH} || true",
        )
        end = time.monotonic() + 10  # a session ends a little later than its client
        while self.psql(database, SESSIONS) and time.monotonic() < end:
            time.sleep(0.05)
        return files + self.psql(
            database,
            "SELECT datname FROM pg_database ORDER BY 1; SELECT spcname FROM pg_tablespace ORDER BY 1;"
            "SELECT rolname, rolconnlimit FROM pg_roles ORDER BY 1; SELECT slot_name FROM pg_replication_slots;"
            "SELECT name, setting FROM pg_file_settings ORDER BY 1; SELECT gid FROM pg_prepared_xacts;"
            "SELECT locktype, classid, objid FROM pg_locks WHERE locktype = 'advisory';" + SESSIONS,
        )

    def left(self) -> list[str]:
        """What a run has left where it should leave nothing: nothing."""
        found = self.host.run(
            "sh", "-c", f"ls {SCRATCH} /var/lib/dbops-postgres/migrate /run/dbops-postgres 2>/dev/null || true"
        )
        return [line for line in found.split() if line != "lock" and not line.endswith(":")]


@pytest.fixture(scope="module")
def migrate_host(pg_server: Server) -> Iterator[MigrateHost]:
    """The host of the server with today's code, backups into a directory, and a database to copy."""
    host = host_of(pg_server)
    install(host, CODE, Path(__file__).with_name("on_host.py"))
    made = MigrateHost(host, pg_server)
    host.run(
        "sh",
        "-c",
        f"umount /mnt/mig_* 2>/dev/null; rm -rf {FILES} {SETS} /var/lib/dbops-postgres/migrate;"
        f"mountpoint -q {FAST} || {{ mkdir -p {FAST}; mount -t tmpfs -o size=1g,mode=755 none {FAST}; }};"
        f"mkdir {FILES}; mkdir -m 0700 {SETS}; cat >{FILES}/drill.json",
        text=json.dumps({"target": {"directory": SETS}, "drill": {"scratch": SCRATCH}}),
    )
    made.psql(
        "postgres",
        f"{DROP}SELECT format('DROP TABLESPACE %I', spcname) FROM pg_tablespace WHERE spcname LIKE 'mig\\_%' \\gexec\n"
        f"DROP ROLE IF EXISTS {OWNER};\nCREATE ROLE {OWNER};\nCREATE DATABASE {TEMPLATE} OWNER {OWNER};",
    )
    made.psql(TEMPLATE, f"GRANT CREATE, USAGE ON SCHEMA public TO {OWNER}; {SCHEMA}")
    yield made
    # Other tests look at this host as well.
    made.psql("postgres", f"{DROP}DROP ROLE {OWNER};")
    host.run(
        "sh", "-c", f"umount {FAST}; rm -rf {FILES} {SETS} {FAST} {CODE} /var/lib/dbops-postgres /run/dbops-postgres"
    )


@pytest.fixture
def shop(migrate_host: MigrateHost, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh copy of the template, which the backups save."""
    name = f"mig_{zlib.crc32(request.node.name.encode()):08x}"
    made = migrate_host
    # As the role access leaves it: the owner of the tables may not make schemas.
    made.psql("postgres", f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER {OWNER};")
    made.psql("postgres", f"REVOKE CREATE ON DATABASE {name} FROM {OWNER};")
    made.host.run(
        "sh",
        "-c",
        f"rm -rf {SETS}/*; cat >{FILES}/backup.json",
        text=json.dumps({"targets": [{"directory": SETS}], "backup": {"databases": [name]}}),
    )
    yield name
    made.psql("postgres", DROP.replace("mig\\_", f"{name}"))
    made.host.run("rm", "-rf", "/var/lib/dbops-postgres/migrate")
