# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throwaway databases: the URL of a tool, what reaches outside; the configuration of the job."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._host_program.drift import config_from
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from ansible_collections.dbops.postgres.plugins.module_utils._schema.look import outside, refuse_outside, url


@given(st.text(min_size=1, max_size=12), st.text(max_size=12), st.text(min_size=1, max_size=12))
def test_a_url_carries_every_character(user: str, password: str, database: str) -> None:
    found = urlsplit(url(Login(host="db.example", port=6000, user=user, password=password, database=database)))
    assert (found.hostname, found.port) == ("db.example", 6000)
    assert unquote(found.username or "") == user
    assert unquote(found.password or "") == password
    assert unquote(found.path[1:]) == database


def test_a_url_of_a_socket_and_of_an_address() -> None:
    assert url(Login(database="d")) == "postgresql://postgres@localhost:5432/d?host=%2Fvar%2Frun%2Fpostgresql"
    assert url(Login(host="::1", database="d")) == "postgresql://postgres@[::1]:5432/d?sslmode=prefer"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CREATE TABLE t (role text); CREATE INDEX ON t (role)", ""),
        ("CREATE USER MAPPING FOR app SERVER s", ""),
        ("-- CREATE ROLE x\n/* ALTER SYSTEM\n */ SELECT 1", ""),
        ("do $$ begin create  role x; end $$", "create role"),
        ("ALTER SYSTEM SET work_mem = 1", "ALTER SYSTEM"),
        ("DROP DATABASE live", "DROP DATABASE"),
        ("CREATE USER x", "CREATE USER"),
        ("CREATE TABLESPACE t LOCATION '/x'", "CREATE TABLESPACE"),
    ],
)
def test_what_reaches_outside_of_a_throwaway_database(text: str, words: str) -> None:
    assert outside(text) == words
    if words:
        with pytest.raises(DbopsError, match=f"V1.sql says {words}"):
            refuse_outside([("V1.sql", text)])


def test_the_configuration_of_the_job() -> None:
    config = config_from({"databases": [{"name": "a/b", "ignore": ["table:s.x"]}], "port": 5433, "user": "auditor"})
    [item] = config.databases
    assert (item.login.database, item.login.port, item.login.user) == ("a/b", 5433, "auditor")
    assert item.snapshot == "/etc/dbops-postgres/schema/a%2Fb.json"
    assert item.ignore.patterns == ("table:s.x",)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "has no databases"),
        ({"databases": []}, "has no databases"),
        ({"databases": [{}]}, "A database has no name"),
        ({"databases": [{"name": "a"}, {"name": "a"}]}, "The database a is there twice"),
        ({"databases": [{"name": "a", "ingore": []}]}, "unknown key 'ingore'"),
        ({"databases": [{"name": "a", "ignore": ["x"]}]}, "is not kind:name"),
        ({"databases": [{"name": "a"}], "password": "x"}, "unknown key 'password'"),
    ],
)
def test_a_configuration_that_cannot_be_meant(data: dict[str, Any], said: str) -> None:
    with pytest.raises(DbopsError, match=said):
        config_from(data)
