# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Input: what is refused; and the budget, with everybody's share."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.budget import Share, budget_of
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.services import pooled
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.settings import (
    SINCE,
    parse_version,
    refuse_unknown,
)
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.spec import OWNED
from tests.unit._pooler.helpers import database, make


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"databases": []}, "pgbouncer_databases is empty"),
        ({"databases": [database(), database()]}, "declares 'payments_db' twice"),
        ({"databases": [database(users=[])]}, "'payments_db' has no users"),
        ({"databases": [database(name="pgbouncer")]}, "name of the console"),
        ({"databases": [database(name='a"b')]}, "cannot be a name here"),
        ({"databases": [database(name="a\nb")]}, "cannot be a name here"),
        ({"databases": [database(users=["dbops_pooler"])]}, "is no client"),
        ({"databases": [database(pool_size=0)]}, "pool_size is 0"),
        ({"databases": [database(min_pool_size=11)]}, "min_pool_size is 11"),
        ({"databases": [database(addresses=["10.0.0.1/8"])]}, "is no network"),
        ({"databases": [database(addresses=["10.0.0.0/8"])]}, "need TLS"),
        ({"addresses": ["0.0.0.0/0"]}, "whole internet"),
        ({"addresses": ["::/0"]}, "whole internet"),
        ({"listen_addresses": ["*"]}, "is every network"),
        ({"listen_addresses": ["10.0.0.1,10.0.0.2"]}, "is no address"),
        ({"port": 0}, "pgbouncer_port is 0"),
        ({"tls_certificate": "/c"}, "belong together"),
        ({"server_tls_ca": None}, "needs pgbouncer_server_tls_ca"),
        ({"auth_password": ""}, "pgbouncer_auth_password is empty"),
        ({"auth_password": "a\nb"}, "line break"),
        ({"settings": {"max_client_conn": 5}}, "Use pgbouncer_max_client_conn"),
        ({"settings": {"Log": 1}}, "is no name of a setting"),
        ({"settings": {"verbose": "1\n[databases]"}}, "control character"),
        ({"direct": {"exporter": "two"}}, "'exporter' has 'two' connections"),
        ({"direct": {"exporter": True}}, "'exporter' has True connections"),
        ({"max_client_conn": 0}, "pgbouncer_max_client_conn is 0"),
    ],
)
def test_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DbopsError) as error:
        make(**changes)
    assert message in str(error.value)
    assert "Nothing was changed." in str(error.value)
    assert "pooler-canary" not in str(error.value)


def test_a_budget_that_does_not_hold_shows_who_takes_what() -> None:
    two = [database(pool_size=40, reserve_pool_size=5), database(name="auth_db", users=["a", "b"], pool_size=20)]
    with pytest.raises(DbopsError) as error:
        make(databases=two, direct={"payments_prod_migrator": 4, "nobody": 0}, max_connections=90)
    assert str(error.value).splitlines()[1:] == [
        "pool payments_db / payments_prod_app     45  40 + 5 in reserve",
        "pool auth_db / a                         20",
        "pool auth_db / b                         20",
        "payments_prod_migrator                    4  direct",
        "superuser                                 3  superuser_reserved_connections",
        "dbops_pooler                              2  looks passwords up",
        "sum                                      94",
        "max_connections                          90",
        "missing                                   4",
    ]


SHARES = st.builds(Share, st.text("abc", min_size=1, max_size=3), st.integers(0, 50))


@given(st.lists(SHARES), st.integers(1, 200))
def test_a_budget_is_refused_exactly_when_it_does_not_hold(shares: list[Share], most: int) -> None:
    budget = budget_of(shares, most)
    assert budget.taken == sum(share.connections for share in shares)
    if budget.taken > most:
        with pytest.raises(DbopsError, match="Pools and direct users"):
            budget.check()
    else:
        budget.check()


def test_files_suffice_for_clients_and_servers() -> None:
    spec = make(max_client_conn=1000, databases=[database(users=["a", "b"], pool_size=20)])
    assert spec.files == 1000 + 40 + 1 + 100


def test_services_become_pools_and_direct_users() -> None:
    services: list[dict[str, Any]] = [
        {"name": "payments", "database": "payments_db", "connection_limits": {"migrator": 2}},
        {"name": "auth", "database": "auth_db", "rotating": True},
        {"name": "lab", "database": "lab_db", "environments": ["dev"]},
    ]
    made = pooled(services, "prod", sizes={"payments": 10}, direct={"exporter": 2})
    assert made == {
        "databases": [
            {"name": "payments_db", "dbname": "payments_db", "users": ["payments_prod_app"], "pool_size": 10},
            {"name": "auth_db", "dbname": "auth_db", "users": ["auth_prod_app_a", "auth_prod_app_b"]},
        ],
        "direct": {"exporter": 2, "payments_prod_migrator": 2, "auth_prod_migrator": 4},
    }


def test_a_size_for_nobody_is_refused() -> None:
    with pytest.raises(DbopsError, match="Did you mean 'payments'"):
        pooled([{"name": "payments", "database": "p"}], "prod", sizes={"payment": 1})


@pytest.mark.parametrize(
    ("output", "version"), [("PgBouncer 1.18.0\nlibevent", (1, 18)), ("PgBouncer 1.24.1", (1, 24))]
)
def test_versions(output: str, version: tuple[int, int]) -> None:
    assert parse_version(output) == version


@pytest.mark.parametrize("output", ["PgBouncer 1.17.0", "nothing"])
def test_versions_that_are_none(output: str) -> None:
    with pytest.raises(DbopsError):
        parse_version(output)


def test_settings_by_version() -> None:
    refuse_unknown("max_prepared_statements", (1, 21), "here")
    with pytest.raises(DbopsError, match=r"1\.18 has no setting 'max_prepared_statements'; 1\.21 has"):
        refuse_unknown("max_prepared_statements", (1, 18), "here")
    with pytest.raises(DbopsError, match="Did you mean 'query_wait_timeout'"):
        refuse_unknown("query_wait_timeot", (1, 24), "here")
    assert set(OWNED) <= set(SINCE)
