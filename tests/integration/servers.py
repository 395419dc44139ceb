# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PostgreSQL servers of the integration tests, and a database of one's own on each."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import extensions, sql

VERSIONS = (15, 17)


@dataclass(frozen=True)
class Server:
    """One server and its superuser."""

    version: int
    host: str
    port: int
    user: str
    password: str

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
