# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords, their verifiers, so that a server never sees one in clear, and connection URLs.

The formulas are those of RFC 5802 (SCRAM) and RFC 7677 (SCRAM-SHA-256), stored in the form that PostgreSQL's
manual gives in 52.8 (pg_authid): ``SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import string
import stringprep
import unicodedata
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlencode, urlsplit

ITERATIONS = 4096  # PostgreSQL's own default (scram_iterations)
SALT_BYTES = 16
PASSWORD_LENGTH = 40  # letters and digits: 238 bits

_VERIFIER = re.compile(
    r"SCRAM-SHA-256\$(?P<iterations>[0-9]+):(?P<salt>[A-Za-z0-9+/=]+)"
    r"\$(?P<stored>[A-Za-z0-9+/]{43}=):(?P<server>[A-Za-z0-9+/]{43}=)"
)


def scram_verifier(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """A SCRAM-SHA-256 verifier of ``password`` with a fresh random salt, or the given one."""
    salt = os.urandom(SALT_BYTES) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", _prepared(password), salt, iterations)
    client_key = hmac.new(salted, b"Client Key", hashlib.sha256).digest()
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.new(salted, b"Server Key", hashlib.sha256).digest()
    return f"SCRAM-SHA-256${iterations}:{_b64(salt)}${_b64(stored_key)}:{_b64(server_key)}"


def is_verifier(text: str) -> bool:
    """Whether ``text`` is a SCRAM-SHA-256 verifier rather than a password."""
    return _VERIFIER.fullmatch(text) is not None


def verifies(password: str, verifier: str | None) -> bool:
    """Whether ``password`` (or the same verifier) is what is stored; an md5 hash or None never is."""
    if verifier is None:
        return False
    if is_verifier(password):
        return hmac.compare_digest(password, verifier)
    match = _VERIFIER.fullmatch(verifier)
    if match is None:
        return False
    salt = base64.b64decode(match["salt"])
    return hmac.compare_digest(scram_verifier(password, salt, int(match["iterations"])), verifier)


def new_password(length: int = PASSWORD_LENGTH) -> str:
    """A random password of letters and digits, which no URL, shell or configuration file has to quote."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _index in range(length))


def connection_url(
    user: str, password: str, host: str, port: int, database: str, parameters: Mapping[str, str] | None = None
) -> str:
    """A connection URL with every part percent-encoded (PostgreSQL manual, 34.1.1.2; RFC 3986).

    :param host: a name or an address, IPv6 without brackets.
    :param parameters: for example ``{"sslmode": "verify-full"}``, in the order given.
    """
    place = f"[{host}]" if ":" in host else quote(host, safe="")
    query = f"?{urlencode(parameters, quote_via=quote, safe='')}" if parameters else ""
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return f"postgresql://{login}@{place}:{port}/{quote(database, safe='')}{query}"


def url_login(url: str) -> tuple[str, str] | None:
    """User and password of a connection URL; None when it is none or names no user or password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in ("postgresql", "postgres") or not parts.username or not parts.password:
        return None
    return unquote(parts.username), unquote(parts.password)


def _b64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _prepared(password: str) -> bytes:
    """The password after SASLprep (RFC 4013), or its bytes where that is not defined: as PostgreSQL does it."""
    if password.isascii():
        return password.encode("ascii")
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in password if not stringprep.in_table_b1(char)
    )
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if not prepared or any(_prohibited(char) for char in prepared) or _bidi_broken(prepared):
        return password.encode("utf-8")
    return prepared.encode("utf-8")


def _prohibited(char: str) -> bool:
    return any(
        table(char)
        for table in (
            stringprep.in_table_a1,
            stringprep.in_table_c12,
            stringprep.in_table_c21_c22,
            stringprep.in_table_c3,
            stringprep.in_table_c4,
            stringprep.in_table_c5,
            stringprep.in_table_c6,
            stringprep.in_table_c7,
            stringprep.in_table_c8,
            stringprep.in_table_c9,
        )
    )


def _bidi_broken(text: str) -> bool:
    # RFC 3454, section 6: text with right-to-left characters holds no left-to-right ones and begins and ends with one.
    if not any(stringprep.in_table_d1(char) for char in text):
        return False
    if any(stringprep.in_table_d2(char) for char in text):
        return True
    return not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1]))
