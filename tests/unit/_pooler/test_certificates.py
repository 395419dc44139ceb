# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate that no client would take is refused before anything is written."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.apply import refuse_bad_certificates
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.spec import PoolerSpec
from tests.unit._pooler.helpers import make

NOW = datetime.datetime.now(datetime.UTC)


def made(directory: Path, days: int) -> PoolerSpec:
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pool")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW - datetime.timedelta(days=90))
    certificate = builder.not_valid_after(NOW + datetime.timedelta(days=days)).sign(key, None)
    path, key_path = directory / "pool.pem", directory / "pool.key"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    kind, clear = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, clear))
    return replace(make(tls_certificate=str(path), tls_key=str(key_path)), server_tls_ca="")


def test_a_valid_one(tmp_path: Path) -> None:
    refuse_bad_certificates(made(tmp_path, 30))


def test_one_that_has_expired(tmp_path: Path) -> None:
    with pytest.raises(DbopsError, match="has expired: it was valid until"):
        refuse_bad_certificates(made(tmp_path, -1))


def test_another_key(tmp_path: Path) -> None:
    mine = made(tmp_path, 30)
    (tmp_path / "other").mkdir()
    other = made(tmp_path / "other", 30)
    with pytest.raises(DbopsError, match="pgbouncer_tls_key"):
        refuse_bad_certificates(replace(mine, tls_key=other.tls_key))
