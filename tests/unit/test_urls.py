# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of connection URLs: each rule fails, libpq reads what is built, and no secret is ever said."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote, unquote

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg2.extensions import parse_dsn

from ansible_collections.dbops.postgres.plugins.filter.database_url import database_url, masked_url
from ansible_collections.dbops.postgres.plugins.module_utils import _urls
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._secrets import connection_url

GOOD = "postgresql://app:s3cretCanary@db1.example.com:5432/payments?sslmode=verify-full"
TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1)
CANARY = "canary7Zq"


@given(TEXT, TEXT, TEXT)
def test_libpq_reads_back_what_is_built(user: str, password: str, database: str) -> None:
    url = connection_url(user, password, "db1", 6432, database, {"sslmode": "verify-full", "application_name": user})
    read = parse_dsn(url)
    assert (read["user"], read["password"], read["dbname"]) == (user, password, database)
    assert (read["host"], read["port"], read["application_name"]) == ("db1", "6432", user)
    assert _urls.check_url(url, "prod") == []
    parts = _urls.parse_url(url)
    assert (parts.user, parts.password, parts.database) == (user, password, database)


@given(TEXT, st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1))
def test_what_parses_here_is_read_as_libpq_reads_it(user: str, tail: str) -> None:
    url = f"postgresql://{quote(user, safe='')}:{tail}@db1/d"
    with suppress(DbopsError):
        _urls.parse_url(url)
        assert_same(url)


def assert_same(url: str) -> None:
    parts = _urls.parse_url(url)
    read = parse_dsn(url)
    assert (parts.user, parts.password, parts.hosts[0][0], parts.database) == (
        read["user"],
        read.get("password", ""),
        read["host"],
        read["dbname"],
    )


def put(url: str, old: str, new: str) -> str:
    assert old in url
    return url.replace(old, new)


@pytest.mark.parametrize(
    ("url", "environment", "rules"),
    [
        (GOOD, "prod", []),
        (GOOD, "dev", []),
        (put(GOOD, "postgresql:", "postgres:"), "prod", []),
        (None, "prod", ["present"]),
        ("", "dev", ["present"]),
        (" \n", "prod", ["present"]),
        ("host=db1 password=s3cretCanary", "prod", ["form"]),
        (put(GOOD, "postgresql:", "jdbc:postgresql:"), "prod", ["form"]),
        (put(GOOD, "postgresql:", "mysql:"), "prod", ["form"]),
        (put(GOOD, "s3cret", "s3@cret"), "prod", ["form"]),
        (put(GOOD, "s3cret", "s3/cret"), "prod", ["form"]),
        (put(GOOD, "s3cret", "s3?cret"), "prod", ["form"]),
        (put(GOOD, "s3cret", "s3#cret"), "prod", ["form"]),
        (put(GOOD, "s3cret", "s3%zz"), "prod", ["form"]),
        (put(GOOD, "s3cret", "s3%00"), "prod", ["form"]),
        (put(GOOD, "s3cret", "s3 cret"), "prod", ["form"]),
        (GOOD + "\n", "prod", ["form"]),
        (put(GOOD, "db1.example.com", "db1_$(x)"), "prod", ["form"]),
        (put(GOOD, "5432", "port"), "prod", ["form"]),
        (put(GOOD, "sslmode=verify-full", "sslmode"), "prod", ["form"]),
        (put(GOOD, "db1.example.com", "localhost"), "prod", ["host"]),
        (put(GOOD, "db1.example.com", "LOCALHOST."), "production", ["host"]),
        (put(GOOD, "db1.example.com", "localhost.localdomain"), "live", ["host"]),
        (put(GOOD, "db1.example.com", "127.8.9.1"), "prod", ["host"]),
        (put(GOOD, "db1.example.com", "0.0.0.0"), "prod", ["host"]),
        (put(GOOD, "db1.example.com", "2130706433"), "prod", ["host"]),
        (put(GOOD, "db1.example.com", "0x7f.1"), "prod", ["host"]),
        (put(GOOD, "db1.example.com", "127.1"), "prod", ["host"]),
        (put(GOOD, "db1.example.com", "[::ffff:7f00:1]"), "prod", ["host"]),
        (put(GOOD, "db1.example.com", "[::]"), "prod", ["host"]),
        (put(GOOD, "db1.example.com", "127.example.com"), "prod", []),
        (put(GOOD, "db1.example.com", "10.0.0.127"), "prod", []),
        (put(GOOD, "db1.example.com", "localhost-db.example.com"), "prod", []),
        (put(GOOD, "db1.example.com", "[::1]"), "prod", ["host"]),
        (put(GOOD, "db1.example.com", "[0:0:0:0:0:0:0:1]"), "prod", ["host"]),
        (put(GOOD, "db1.example.com", "[::ffff:127.0.0.1]"), "prod", ["host"]),
        (put(GOOD, "db1.example.com", "%2Frun%2Fpostgresql"), "prod", ["host"]),
        (put(GOOD, "db1.example.com:5432", ""), "prod", ["host"]),
        (f"{GOOD}&host=/run/postgresql", "prod", ["host"]),
        (f"{GOOD}&hostaddr=127.0.0.1", "prod", ["host"]),
        (put(GOOD, "db1.example.com", "[2001:db8::7]"), "prod", []),
        (put(GOOD, "db1.example.com", "localhost"), "dev", []),
        ("postgresql://app@localhost/payments", "dev", []),
        (put(GOOD, "?sslmode=verify-full", ""), "prod", ["tls"]),
        (put(GOOD, "verify-full", "verify-ca"), "prod", ["tls"]),
        (put(GOOD, "verify-full", "require"), "prod", ["tls"]),
        (put(GOOD, "verify-full", "VERIFY"), "prod", ["tls"]),
        (f"{GOOD}&sslmode=disable", "prod", ["tls"]),
        (f"{GOOD}&ssl=true", "prod", ["tls"]),
        (put(GOOD, "verify-full", "require"), "stage", []),
        (put(GOOD, "sslmode=verify-full", "ssl=true"), "stage", []),
        (put(GOOD, "verify-full", "prefer"), "stage", ["tls"]),
        (put(GOOD, "verify-full", "prefer"), "", ["tls"]),
        (put(GOOD, "db1.example.com", "db1,db2"), "prod", ["hosts"]),
        (put(GOOD, "db1.example.com", "db1,localhost"), "prod", ["host", "hosts"]),
        (put(GOOD, "app:s3cretCanary@", ""), "prod", ["user"]),
        (put(GOOD, "payments", ""), "prod", ["database"]),
        (put(GOOD, ":s3cretCanary", "") + "&password=s3cretCanary", "prod", ["password"]),
        (put(GOOD, ":s3cretCanary", "") + "&pass%77ord=s3cretCanary", "prod", ["password"]),
        (f"{GOOD}&sslpassword=s3cretCanary", "prod", ["password"]),
    ],
)
def test_rules(url: str | None, environment: str, rules: list[str]) -> None:
    problems = _urls.check_url(url, environment)
    assert [problem.rule for problem in problems] == rules
    assert "cretCanary" not in repr(problems)
    if not rules:
        assert url is not None
        parse_dsn(url)
        assert database_url(url, environment) == url
    else:
        with pytest.raises(AnsibleFilterError) as raised:
            database_url(url, environment)
        assert "cretCanary" not in str(raised.value)


def test_every_rule_has_words() -> None:
    assert set(_urls.RULES) == {"present", "form", "host", "hosts", "tls", "user", "database", "password"}


def test_the_minimum_is_declared() -> None:
    weak = put(GOOD, "verify-full", "verify-ca")
    assert _urls.check_url(weak, "prod", {"prod": "verify-ca"}) == []
    assert [p.rule for p in _urls.check_url(weak, "stage", {"stage": "verify-full"})] == ["tls"]
    assert [p.rule for p in _urls.check_url(weak, "stage", {"": "verify-full"})] == ["tls"]
    with pytest.raises(AnsibleFilterError, match="is no sslmode"):
        database_url(GOOD, "prod", {"prod": "yes"})
    assert _urls.check_url(put(GOOD, "db1.", "db1,db2."), "prod", several_hosts=True) == []


@pytest.mark.parametrize(
    "url",
    [
        GOOD,
        put(GOOD, "s3cretCanary", "p%40ss%2FcretCanary"),
        put(GOOD, "s3cretCanary", "p%40ss%2fcretCanary"),
        put(GOOD, "s3cretCanary", "p@ss/cretCanary"),
        put(GOOD, ":s3cretCanary", "") + "&password=cretCanary%21",
        "host=db1 password='cretCanary x' dbname=d",
        "host=db1 password=cretCanary",
        "jdbc:postgresql://db1/d?user=x&password=cretCanary",
        "https://u:cretCanary@h/",
        "postgresql://u:cretCanary",
        "u:cretCanary",
    ],
)
def test_no_spelling_is_shown(url: str) -> None:
    shown = masked_url(url)
    assert "cretCanary" not in shown
    decoded = unquote(url)
    said = f"could not translate {url} or {decoded} or {quote(decoded, safe='')}"
    if "cretCanary" in url.rpartition(":")[2][:20]:
        said += " or cretCanary"
    assert "cretCanary" not in _urls.mask_text(said, url)


@given(TEXT)
@example("%")
def test_a_password_in_any_spelling_is_masked(odd: str) -> None:
    password = f"{odd}{CANARY}"
    url = connection_url("app", password, "db1", 5432, "d")
    wrong = f"postgresql://app:{password}@db1/d"  # not encoded
    for given_url in (url, wrong):
        text = f"{given_url} {url} {password} {quote(password)} {password!r}"
        assert CANARY not in _urls.mask_text(text, given_url)
        assert CANARY not in _urls.mask_url(given_url)


def test_masked_url_shows_the_rest() -> None:
    assert masked_url(GOOD) == put(GOOD, "s3cretCanary", "********")
    assert masked_url("postgresql://app@db1/d") == "postgresql://app@db1/d"
    assert masked_url("postgresql://db1?sslmode=require") == "postgresql://db1?sslmode=require"
