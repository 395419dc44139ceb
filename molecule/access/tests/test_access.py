# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two services of one environment, on a server that logs everything it is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from testinfra.host import Host

Psql = Callable[..., str]


def as_role(host: Host, role: str, password: str, database: str, statement: str) -> tuple[int, str]:
    """Exit status and output of psql over TCP, with a password."""
    command = "PGPASSWORD=%s psql -XAtq -v ON_ERROR_STOP=1 -h 127.0.0.1 -U %s -d %s -c %s"
    result = host.run(command, password, role, database, statement)
    return result.rc, result.stdout.strip() + result.stderr.strip()


def test_the_roles_of_this_environment_are_there_and_no_other(psql: Psql) -> None:
    names = psql("SELECT rolname, rolcanlogin, rolconnlimit FROM pg_roles WHERE rolname ~ '_(prod|dev)_' ORDER BY 1")
    assert names.splitlines() == [
        "auth_prod_app|t|20",
        "auth_prod_migrator|t|4",
        "auth_prod_owner|f|-1",
        "auth_prod_ro|f|-1",
        "payments_prod_app|t|7",
        "payments_prod_migrator|t|4",
        "payments_prod_owner|f|-1",
        "payments_prod_ro|f|-1",
    ]
    assert psql("SELECT count(*) FROM pg_database WHERE datname = 'lab_db'") == "0"


def test_the_application_writes_and_does_not_delete(host: Host) -> None:
    migrator = ("payments_prod_migrator", "Canary-migrator-5c1", "payments_db")
    app = ("payments_prod_app", "Canary-app-5c1", "payments_db")
    create = "DROP TABLE IF EXISTS orders; CREATE TABLE orders (id serial PRIMARY KEY, amount int)"
    assert as_role(host, *migrator, create)[0] == 0
    assert as_role(host, *app, "INSERT INTO orders (amount) VALUES (1); SELECT count(*) FROM orders") == (0, "1")
    for statement in ("DELETE FROM orders", "ALTER TABLE orders ADD x int", "CREATE TABLE mine ()"):
        status, said = as_role(host, *app, statement)
        assert status != 0
        assert "permission denied" in said or "must be owner" in said
    analytics = ("analytics_ro", "Canary-analytics-5c1", "payments_db")
    assert as_role(host, *analytics, "SELECT count(*) FROM orders") == (0, "1")
    assert "permission denied" in as_role(host, *analytics, "UPDATE orders SET amount = 2")[1]


def test_a_service_with_delete_may_delete(host: Host) -> None:
    create = "CREATE TABLE IF NOT EXISTS sessions (id int)"
    assert as_role(host, "auth_prod_migrator", "Canary-migrator-7d2", "auth_db", create)[0] == 0
    assert as_role(host, "auth_prod_app", "Canary-app-7d2", "auth_db", "DELETE FROM sessions") == (0, "")


def test_a_reader_with_an_exception_waits_for_the_excepted_table(host: Host) -> None:
    said = as_role(host, "analytics_ro", "Canary-analytics-5c1", "auth_db", "SELECT * FROM sessions")[1]
    assert "permission denied" in said or "does not exist" in said


def test_a_login_of_one_service_cannot_connect_to_another(host: Host) -> None:
    status, said = as_role(host, "payments_prod_app", "Canary-app-5c1", "auth_db", "SELECT 1")
    assert status != 0
    assert 'permission denied for database "auth_db"' in said


def test_the_applications_timeouts(host: Host) -> None:
    app = ("payments_prod_app", "Canary-app-5c1", "payments_db")
    names = ("statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout")
    found = [as_role(host, *app, f"SHOW {name}")[1] for name in names]
    assert found == ["30s", "30s", "5min"]


def test_public_has_nothing(psql: Psql) -> None:
    for database in ("payments_db", "auth_db"):
        assert psql(f"SELECT has_database_privilege('public', '{database}', 'CONNECT, TEMPORARY')", database) == "f"
        assert psql("SELECT has_schema_privilege('public', 'public', 'USAGE, CREATE')", database) == "f"


def test_a_further_grant_is_merged_with_the_service(psql: Psql) -> None:
    assert psql("SELECT has_database_privilege('support_ro', 'payments_db', 'CONNECT')") == "t"


@pytest.mark.parametrize("what", ["Canary-", "SCRAM-SHA-256"])
def test_no_password_and_no_verifier_is_in_the_log_or_the_statistics(host: Host, psql: Psql, what: str) -> None:
    # That the log is written at all is the other half of this test.
    assert host.run("grep -rlF 'CREATE ROLE' /var/log/postgresql").rc == 0
    found = host.run("grep -rhF -- %s /var/log/postgresql", what)
    assert found.stdout == ""
    assert int(psql("SELECT count(*) FROM pg_stat_statements WHERE query LIKE 'CREATE ROLE%'")) > 0
    shown = f"SELECT count(*) FROM pg_stat_statements WHERE query LIKE '%{what}%' AND query NOT LIKE '%pg_stat%'"
    assert psql(shown) == "0"
