# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers of the integration tests are what the tests take them for."""

from __future__ import annotations

import pytest

from tests.integration.conftest import RunPlaybook
from tests.integration.servers import Database, Server, create_database, drop_database


def rows(database: Database | Server, statement: str) -> list[tuple[object, ...]]:
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()
    finally:
        connection.close()


def test_the_server_has_the_version_that_it_says(pg_server: Server) -> None:
    [(version,)] = rows(pg_server, "SELECT current_setting('server_version_num')::int / 10000")
    assert version == pg_server.version


def test_a_database_is_new_and_usable(pg_database: Database) -> None:
    assert rows(pg_database, "SELECT current_database()") == [(pg_database.name,)]
    assert rows(pg_database, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [(0,)]


@pytest.mark.parametrize("own", [False, True])
def test_nothing_of_a_database_is_left_behind(pg_server: Server, own: bool) -> None:
    database = create_database(pg_server)
    connection = database.connect()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {database.prefix}a")
        cursor.execute(f"CREATE TABLE t AS SELECT 1; GRANT SELECT ON t TO {database.prefix}a")
        if own:
            cursor.execute(f"CREATE DATABASE {database.prefix}b OWNER {database.prefix}a")
    drop_database(database)  # although a connection is open
    connection.close()
    assert rows(pg_server, f"SELECT datname FROM pg_database WHERE datname LIKE '{database.name}%'") == []
    assert rows(pg_server, f"SELECT rolname FROM pg_roles WHERE rolname LIKE '{database.name}%'") == []


def test_ansible_reaches_the_servers_host(pg_server: Server, run_playbook: RunPlaybook) -> None:
    task = {"ansible.builtin.command": {"argv": ["pg_lsclusters", "--json"]}, "register": "found"}
    show = {"ansible.builtin.debug": {"msg": "version {{ (found.stdout | from_json)[0].version }}"}}
    done = run_playbook([{"hosts": "all", "gather_facts": False, "tasks": [task, show]}])
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"version {pg_server.version}\n" in done.stdout
