# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifiers: against the example of RFC 7677, and as properties."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg2.extensions import parse_dsn

from ansible_collections.dbops.postgres.plugins.module_utils._secrets import (
    _prepared,
    connection_url,
    is_verifier,
    new_password,
    scram_verifier,
    url_login,
    verifies,
)

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")


def test_server_signature_is_that_of_rfc_7677_section_3() -> None:
    server_key = base64.b64decode(scram_verifier("pencil", SALT, 4096).rsplit(":", 1)[1])
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    message = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}"
    signature = hmac.new(server_key, message.encode(), hashlib.sha256).digest()
    assert base64.b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@given(st.text(min_size=1, max_size=40))
@settings(max_examples=25, deadline=None)
def test_a_password_verifies_against_its_own_verifier_only(password: str) -> None:
    verifier = scram_verifier(password, iterations=2)
    assert is_verifier(verifier)
    assert verifies(password, verifier)
    assert verifies(verifier, verifier)
    assert not verifies(password + "x", verifier)


@pytest.mark.parametrize("stored", [None, "", "md5" + "0" * 32, "secret", "SCRAM-SHA-256$4096:AAAA$x:y"])
def test_what_is_no_scram_verifier_never_verifies(stored: str | None) -> None:
    assert not verifies("secret", stored)


def test_salts_differ() -> None:
    assert scram_verifier("x", iterations=1) != scram_verifier("x", iterations=1)


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("I\u00adX", b"IX"),  # RFC 4013, section 3: soft hyphen is mapped to nothing
        ("\u00aa", b"a"),  # NFKC
        ("\u2168", b"IX"),
        ("a\u00a0b", b"a b"),  # non-ASCII space
        ("\u0007\u00aa", "\u0007\u00aa".encode()),  # prohibited: taken as it is
        ("\u06271", "\u06271".encode()),  # bidirectional check fails: taken as it is
        ("\u0627\u0628", "\u0627\u0628".encode()),
    ],
)
def test_saslprep(password: str, prepared: bytes) -> None:
    assert _prepared(password) == prepared


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(user=TEXT, password=TEXT, database=TEXT, option=TEXT)
def test_libpq_reads_from_a_url_what_went_into_it(user: str, password: str, database: str, option: str) -> None:
    url = connection_url(user, password, "db.example.test", 6432, database, {"application_name": option})
    assert parse_dsn(url) == {
        "user": user,
        "password": password,
        "host": "db.example.test",
        "port": "6432",
        "dbname": database,
        "application_name": option,
    }
    assert url_login(url) == (user, password)


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert parse_dsn(connection_url("a", "b", "2001:db8::1", 5432, "d"))["host"] == "2001:db8::1"


@pytest.mark.parametrize(
    "text", ["", "secret", "https://a:b@c/", "postgresql://a@c/d", "postgresql://:b@c/d", "postgresql://[x/"]
)
def test_what_names_no_login_is_no_url_with_one(text: str) -> None:
    assert url_login(text) is None


def test_new_passwords_are_long_and_differ() -> None:
    assert len({new_password() for _index in range(100)}) == 100
    assert all(len(new_password()) == 40 and new_password().isalnum() for _index in range(10))
