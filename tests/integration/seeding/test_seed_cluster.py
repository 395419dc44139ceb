# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that says what it is: a reset script, run by hand with psql -f, is refused in prod and works in dev.

It is a second cluster on the host of the tests' server, with the same database in it all the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.apply import converge
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.seed import seed
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.spec import GuardSpec
from tests.integration.backup.conftest import host_of
from tests.integration.servers import Server, given
from tests.throwaway import Host

PORT = 5599
SCRIPTS = {
    "truncate.sql": "TRUNCATE app.orders CASCADE;\nINSERT INTO app.orders VALUES (1);\n",
    "drop.sql": "DROP SCHEMA app CASCADE;\nCREATE SCHEMA app;\nCREATE TABLE app.orders (id int);\n",
    "delete.sql": "DELETE FROM app.orders;\nINSERT INTO app.orders VALUES (1);\n",
    "assert.sql": "SELECT dbops.assert_not_production();\nDELETE FROM app.orders;\n",
}
MAKE = """
set -eu
pg_createcluster {version} seeds --port {port} --start \\
  -o listen_addresses="*" -o cluster_name={version}/seeds@prod >/dev/null
echo 'host all all samenet scram-sha-256' >>/etc/postgresql/{version}/seeds/pg_hba.conf
pg_ctlcluster {version} seeds reload
runuser -u postgres -- psql -Xqp {port} -v ON_ERROR_STOP=1 <<'END'
ALTER ROLE postgres PASSWORD '{password}';
CREATE ROLE seed LOGIN;
GRANT CREATE ON DATABASE postgres TO seed;
SET ROLE seed;
CREATE SCHEMA app;
CREATE TABLE app.orders (id int);
INSERT INTO app.orders VALUES (1), (2);
END
sed -i '1i local postgres seed trust' /etc/postgresql/{version}/seeds/pg_hba.conf
pg_ctlcluster {version} seeds reload
"""
SAY = """
set -eu
sed -i "s|^cluster_name = .*|cluster_name = '$1'|" /etc/postgresql/{version}/seeds/postgresql.conf
pg_ctlcluster {version} seeds restart
"""


@pytest.fixture
def cluster(pg_server: Server) -> Iterator[tuple[Host, Server]]:
    """A cluster that says that it is prod, and its host."""
    if given(pg_server.version):
        pytest.fail(f"This test needs the throwaway host: unset DBOPS_DEV_PG{pg_server.version}.")
    host, server = host_of(pg_server), replace(pg_server, port=PORT)
    drop = ("pg_dropcluster", "--stop", str(server.version), "seeds")
    host.run("sh", "-c", f"pg_lsclusters -h | grep -q ' seeds ' && {' '.join(drop)} || true")
    host.run("sh", "-s", text=MAKE.format(version=server.version, port=PORT, password=server.password))
    yield host, server
    host.run(*drop)


def by_hand(host: Host, script: str) -> str:
    """What psql says of a script; it goes on after an error, as it does unless it is told not to."""
    file = f"/tmp/{script}"
    host.run("sh", "-c", f"cat >{file}", text=SCRIPTS[script])
    return host.run("sh", "-c", f"runuser -u nobody -- psql -Xqp {PORT} -U seed -d postgres -f {file} 2>&1")


def rows(host: Host) -> int:
    text = "SELECT count(*) FROM app.orders"
    return int(host.run("runuser", "-u", "postgres", "--", "psql", "-XAtqp", str(PORT), "-c", text))


def test_a_reset_script_by_hand(cluster: tuple[Host, Server]) -> None:
    host, server = cluster
    login = Login(server.host, "", server.port, server.user, server.password, "postgres")
    spec = GuardSpec(schemas=("app",), seed_roles=("seed",), environment="dev")  # what the server says counts more
    assert converge(login, spec, check_mode=False).environment == "prod"
    for script in SCRIPTS:
        said = by_hand(host, script)
        assert "is refused: database postgres is prod" in said, said
        assert rows(host) == 2
    with pytest.raises(DbopsError, match=r"is refused: database postgres .* is prod"):
        seed(login, "a.sql", SCRIPTS["truncate.sql"], "seed", "", 30, check_mode=False)

    host.run("sh", "-s", f"{server.version}/seeds@dev", text=SAY.format(version=server.version))
    assert converge(login, spec, check_mode=False).statements == ()
    for script, left in (("truncate.sql", 1), ("delete.sql", 1), ("assert.sql", 0), ("drop.sql", 0)):
        said = by_hand(host, script)
        assert "ERROR" not in said, said
        assert rows(host) == left
    assert seed(login, "a.sql", SCRIPTS["truncate.sql"], "seed", "", 30, check_mode=False).environment == "dev"

    # A server that stops saying what it is: the guard was told, and without that it refuses.
    host.run("sh", "-s", f"{server.version}/seeds", text=SAY.format(version=server.version))
    with pytest.raises(DbopsError, match="does not say which environment"):
        converge(login, replace(spec, environment=""), check_mode=True)
    assert "ERROR" not in by_hand(host, "truncate.sql")
    host.run(
        *("runuser", "-u", "postgres", "--", "psql", "-Xqp", str(PORT), "-c"),
        """CREATE OR REPLACE FUNCTION dbops.seed_guard() RETURNS jsonb LANGUAGE sql IMMUTABLE
           RETURN '{"schemas": ["app"], "seed_roles": ["seed"], "allowed_roles": [], "exempt": []}'::jsonb""",
    )
    assert "does not say which environment it is" in by_hand(host, "truncate.sql")
