# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validity of certificates without a library for cryptography, and the strength of cipher suites."""

from __future__ import annotations

import base64
import contextlib
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._certificate import not_after
from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.certificate import strong, weak_ciphers
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.look import address
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import Server, Unseen
from tests.unit._readiness.good import set_to

# Self-signed for the name db1; the years before 2050 are UTCTime, the others GeneralizedTime.
_UNTIL_2049 = base64.b64decode(
    "MIHHMHugAwIBAgIBBzAFBgMrZXAwDjEMMAoGA1UEAwwDZGIxMB4XDTI2MDEwMTAwMDAwMFoXDTQ5MDYzMDEyMDAwMVowDjEMMAoGA1UEAwwD"
    "ZGIxMCowBQYDK2VwAyEAtmit6qo1sgRdcW/UdUqGQLFYHTmaknJ+/wfS5T8IfAowBQYDK2VwA0EADCS1jK65ZBo2Z29Oj2nLt/5jijAejjOQ"
    "9jmgkMZdaGOVMAd0awpLE97nM+6jPUvU+Whp9Sx7VLCYTZX8HkZMBg=="
)
_UNTIL_2051 = base64.b64decode(
    "MIHJMH2gAwIBAgIBBzAFBgMrZXAwDjEMMAoGA1UEAwwDZGIxMCAXDTI2MDEwMTAwMDAwMFoYDzIwNTEwNjMwMTIwMDAxWjAOMQwwCgYDVQQD"
    "DANkYjEwKjAFBgMrZXADIQDQK4evsh4jt2B7xVC5yyzJlMMTmO+BZBlJ4vjWr7FxUjAFBgMrZXADQQDkbyYR9TLLqFgR+KCMvDWd3fxWXi53"
    "g6W+tryj6F8lk5vtDQmRQbEECZBx42BEx8E/bqf9fXCJMl7hD3C1724E"
)


@pytest.mark.parametrize(("der", "year"), [(_UNTIL_2049, 2049), (_UNTIL_2051, 2051)])
def test_the_end_of_a_certificate_is_read(der: bytes, year: int) -> None:
    assert not_after(der) == datetime.datetime(year, 6, 30, 12, 0, 1, tzinfo=datetime.UTC)


@given(st.binary(max_size=300))
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the contract is the type
        not_after(data)


@given(st.integers(min_value=0, max_value=len(_UNTIL_2049) - 1), st.integers(min_value=0, max_value=255))
def test_a_damaged_certificate_never_crashes(position: int, value: int) -> None:
    damaged = bytearray(_UNTIL_2049)
    damaged[position] = value
    with contextlib.suppress(ValueError):
        not_after(bytes(damaged))


@pytest.mark.parametrize(
    ("cipher", "is_strong"),
    [
        ("TLS_AES_256_GCM_SHA384", True),
        ("TLS_CHACHA20_POLY1305_SHA256", True),
        ("ECDHE-RSA-AES128-GCM-SHA256", True),
        ("DHE-RSA-AES256-CCM", True),
        ("ECDHE-RSA-CHACHA20-POLY1305", True),
        ("AES256-GCM-SHA384", False),  # no forward secrecy
        ("ECDHE-RSA-AES256-SHA384", False),  # no authenticated encryption
        ("RSA-PSK-AES256-GCM-SHA384", False),
        ("ADH-AES256-GCM-SHA384", False),
        ("DES-CBC3-SHA", False),
    ],
)
def test_strength_of_a_suite(cipher: str, is_strong: bool) -> None:
    assert strong(cipher) is is_strong


def test_weak_suites_of_a_list_are_named() -> None:
    assert weak_ciphers("ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256") == ()
    found = weak_ciphers("HIGH:MEDIUM:+3DES:!aNULL")  # PostgreSQL's default
    assert "AES256-GCM-SHA384" in found if isinstance(found, tuple) else False


def test_an_unknown_list_is_an_error() -> None:
    found = weak_ciphers("NO-SUCH-SUITE")
    assert isinstance(found, Unseen)
    assert found.status is Status.ERROR


@pytest.mark.parametrize(
    ("host", "listening", "expected"),
    [
        ("db.example.com", "*", "db.example.com"),
        ("", "*", "localhost"),
        ("", "0.0.0.0", "127.0.0.1"),
        ("", "::", "::1"),
        ("", "192.0.2.7, localhost", "192.0.2.7"),
        ("", "", "localhost"),
        ("/run/postgresql", "localhost", "localhost"),
    ],
)
def test_the_handshake_goes_where_clients_go(host: str, listening: str, expected: str) -> None:
    server = set_to(listen_addresses=listening).server
    assert isinstance(server, Server)
    assert address(Login(host=host), server)[0] == expected
