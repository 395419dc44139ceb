# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PostgreSQL servers of the integration tests, and a database of one's own on each."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import extensions, sql

from tests.steps import step
from tests.throwaway import Host, HostError, HostSpec, inventory_path, up

GROUP = "integration"
IMAGES = {15: "debian12", 17: "debian13"}
VERSIONS = tuple(IMAGES)

# Durability is no subject of these tests, and costs half of their time. Tests compare statistics and pages to the last
# row: autovacuum, which looks at a database once a minute, would make one of many runs differ.
SETTINGS = """
listen_addresses = '*'
max_connections = 200
shared_preload_libraries = 'pg_stat_statements,pgaudit'
fsync = off
full_page_writes = off
synchronous_commit = off
autovacuum_naptime = 1d
"""


@dataclass(frozen=True)
class Server:
    """One server and its superuser."""

    version: int
    host: str
    port: int
    user: str
    password: str = field(repr=False)

    def login(self, database: str = "postgres", user: str | None = None, password: str | None = None) -> dict[str, Any]:
        """The login options of a module."""
        return {
            "login_host": self.host,
            "login_port": self.port,
            "login_user": user or self.user,
            "login_password": self.password if password is None else password,
            "login_db": database,
        }

    def connect(
        self,
        database: str = "postgres",
        user: str | None = None,
        password: str | None = None,
        *,
        autocommit: bool = True,
    ) -> extensions.connection:
        """Open a connection, by default as the superuser and with autocommit. The caller closes it."""
        connection: extensions.connection = psycopg2.connect(
            host=self.host,
            port=self.port,
            user=user or self.user,
            password=self.password if password is None else password,
            dbname=database,
            connect_timeout=10,
        )
        connection.autocommit = autocommit
        return connection


@dataclass(frozen=True)
class Database:
    """A fresh database. Name roles and further databases with ``prefix``: they are dropped with it."""

    server: Server
    name: str

    @property
    def prefix(self) -> str:
        """What the names of this test's objects of the whole server begin with."""
        return f"{self.name}_"

    def login(self, user: str | None = None, password: str | None = None) -> dict[str, Any]:
        """The login options of a module."""
        return self.server.login(self.name, user, password)

    def connect(
        self, user: str | None = None, password: str | None = None, *, autocommit: bool = True
    ) -> extensions.connection:
        """Open a connection to it, by default as the superuser and with autocommit. The caller closes it."""
        return self.server.connect(self.name, user, password, autocommit=autocommit)


def given(version: int) -> Server | None:
    """The server that DBOPS_DEV_PG15 or DBOPS_DEV_PG17 names ("host:port:user:password"), if it does."""
    text = os.environ.get(f"DBOPS_DEV_PG{version}")
    if not text:
        return None
    host, port, user, password = text.split(":", 3)
    return Server(version, host, int(port), user, password)


def throwaway() -> dict[int, Server]:
    """The servers on throwaway hosts of our own. They stay for the next run, until ``make clean``.

    :raises HostError: a host cannot be made, or PostgreSQL not be installed.
    """
    hosts = {
        host.name: host for host in up(GROUP, [HostSpec(f"pg{v}", image) for v, image in IMAGES.items()], keep=True)
    }
    password = _password(inventory_path(GROUP).with_name("password"))
    with step(f"PostgreSQL {' and '.join(map(str, VERSIONS))}"), ThreadPoolExecutor() as pool:
        list(pool.map(lambda version: _prepare(hosts[f"pg{version}"], version, password), VERSIONS))
    return {version: Server(version, hosts[f"pg{version}"].address, 5432, "postgres", password) for version in VERSIONS}


def _password(path: Path) -> str:
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text()


def _prepare(host: Host, version: int, password: str) -> None:
    script = f"""
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -q install --yes --no-install-recommends postgresql-{version} postgresql-{version}-pgaudit python3-psycopg2
cat >/etc/postgresql/{version}/main/conf.d/tests.conf <<'END'
{SETTINGS}
END
echo 'host all all samenet scram-sha-256' >>/etc/postgresql/{version}/main/pg_hba.conf
systemctl restart postgresql@{version}-main.service
runuser -u postgres -- psql -Xq -v ON_ERROR_STOP=1 <<'END'
ALTER ROLE postgres PASSWORD '{password}';
END
"""
    stamp = hashlib.sha256(script.encode()).hexdigest()
    done = f'test "$(cat /etc/prepared 2>/dev/null)" = {stamp} && systemctl is-active --quiet postgresql@{version}-main'
    try:
        host.run("sh", "-c", done)
    except HostError:
        host.run("sh", "-s", text=f"{script}\necho {stamp} >/etc/prepared\n")


def create_database(server: Server) -> Database:
    """Create a database with a name that nothing else has."""
    database = Database(server, f"t{secrets.token_hex(4)}")
    connection = server.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(database.name)))
    finally:
        connection.close()
    return database


def drop_database(database: Database) -> None:
    """Drop the database, and every database and role whose name begins with its prefix."""
    like = database.prefix.replace("_", r"\_") + "%"
    connection = database.server.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT datname FROM pg_database WHERE datname = %s OR datname LIKE %s", (database.name, like)
            )
            for (name,) in cursor.fetchall():
                cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            cursor.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE %s", (like,))
            roles = [sql.Identifier(name) for (name,) in cursor.fetchall()]
            if roles:
                names = sql.SQL(", ").join(roles)
                cursor.execute(sql.SQL("DROP OWNED BY {}").format(names))
                cursor.execute(sql.SQL("DROP ROLE {}").format(names))
    finally:
        connection.close()


if __name__ == "__main__":
    try:
        throwaway()
    except HostError as error:
        sys.exit(str(error))
