# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pg_dump and pg_restore make of a schema is the same schema."""

from __future__ import annotations

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._schema.compare import compare, readable
from tests.integration.schema.rich import BASE, PARTS, ROLES
from tests.integration.schema.test_snapshot import execute, see
from tests.integration.servers import GROUP, Database, Server, given
from tests.throwaway import Host, hosts


def host_of(server: Server) -> Host:
    """pg_dump must be of the server's version: the host has it."""
    if given(server.version):
        pytest.fail(f"This test needs the throwaway host: unset DBOPS_DEV_PG{server.version}.")
    return next(host for host in hosts(GROUP) if host.address == server.host)


def test_a_restored_dump_is_the_same_schema(pg_database: Database) -> None:
    connection = pg_database.connect()
    copy = Database(pg_database.server, f"{pg_database.prefix}copy")
    try:
        execute(connection, *(part.replace("{p}", pg_database.prefix) for part in (ROLES, BASE, *PARTS)))
        host_of(pg_database.server).run(
            *("runuser", "-u", "postgres", "--", "sh", "-c"),
            f"cd / && createdb -T template0 {copy.name} && pg_dump -Fc {pg_database.name} |"
            f" pg_restore --exit-on-error -d {copy.name}",
        )
        restored = copy.connect()
        try:
            assert readable(compare(see(connection), see(restored))) == []
        finally:
            restored.close()
    finally:
        connection.close()
