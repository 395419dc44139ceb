# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of backups and of targets: what cannot be meant is refused with its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, IncompleteReadError, ReadTimeoutError
from urllib3.exceptions import SSLError

from ansible_collections.dbops.postgres.plugins.module_utils._backup.backup_spec import (
    BackupSpec,
    Keep,
    backup_from,
    chosen,
)
from ansible_collections.dbops.postgres.plugins.module_utils._backup.target import set_id
from ansible_collections.dbops.postgres.plugins.module_utils._host_program.config import (
    backup_config_from,
    target_from,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._s3 import explained, keys_from

KEY = "age1" + "q" * 58


def test_nothing_declared_is_the_default() -> None:
    assert backup_from({}) == BackupSpec()


def test_everything_declared() -> None:
    found = backup_from({"databases": ["a"], "recipients": [KEY], "keep": {"days": 9, "weekly": 4}, "level": "counts"})
    assert (found.databases, found.recipients, found.keep) == (("a",), (KEY,), Keep(days=9, weekly=4))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"daily": 1}, "unknown key 'daily'"),
        ({"keep": {"years": 1}}, "unknown key 'years'"),
        ({"keep": {"minimum": 0}}, "keep: minimum is 0"),
        ({"keep": {"days": "30"}}, "keep: days is '30'"),
        ({"level": "all"}, "level is 'all'"),
        ({"compression": 22}, "compression is 22"),
        ({"recipients": ["age2x"]}, "a recipient is 'age2x'"),
        ({"recipients": ["AGE-SECRET-KEY-1CANARY"]}, "a secret key!"),
        ({"databases": "shop"}, "databases is 'shop'"),
        ({"databases": 5}, "databases is 5"),
        ({"socket": 5}, "socket is 5"),
        ({"databases": ["a"], "exclude": ["a"]}, "'a' is in databases and in exclude"),
    ],
)
def test_what_cannot_be_meant(data: dict[str, Any], said: str) -> None:
    with pytest.raises(DbopsError, match=said) as caught:
        backup_from(data)
    assert "CANARY" not in str(caught.value)


def test_the_databases_of_a_run() -> None:
    there = ["a", "b", "c"]
    assert chosen(backup_from({}), there) == there
    assert chosen(backup_from({"exclude": ["b"]}), there) == ["a", "c"]
    with pytest.raises(DbopsError, match="no database 'd'"):
        chosen(backup_from({"databases": ["d"]}), there)
    with pytest.raises(DbopsError, match="No database is left"):
        chosen(backup_from({"exclude": there}), there)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "has no target"),
        ({"directory": "srv"}, "no absolute path"),
        ({"region": "eu"}, "neither directory nor bucket"),
        ({"bucket": "b", "size": 1}, "unknown key 'size'"),
        ({"bucket": "b", "checksums": "no"}, "checksums is 'no'"),
        ({"bucket": "b", "name": "Off Site"}, "the name 'Off Site'"),
    ],
)
def test_targets_that_cannot_be_meant(data: dict[str, Any], said: str) -> None:
    with pytest.raises(DbopsError, match=said):
        target_from(data)


def test_targets() -> None:
    bucket = target_from({"bucket": "b", "prefix": "/db1/", "endpoint": "https://s3.example.org", "region": "x"})
    assert (bucket.name, bucket.off_host) == ("s3://b/db1 at https://s3.example.org", True)
    assert target_from({"directory": "/srv/sets/"}).name == "directory /srv/sets"
    with pytest.raises(DbopsError, match="is there twice"):
        backup_config_from({"targets": [{"directory": "/a"}, {"directory": "/a/"}]})
    with pytest.raises(DbopsError, match="has no targets"):
        backup_config_from({"targets": []})


@pytest.mark.parametrize("text", ["", "canary", "[]", '{"access_key_id": "canary"}'])
def test_a_credential_that_is_none_is_not_told(text: str) -> None:
    with pytest.raises(DbopsError) as caught:
        keys_from(text, "backup_target_offsite")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("label", ["", "Nightly", "a b", "-a", "a" * 42, "../x"])
def test_labels_that_cannot_name_a_set(label: str) -> None:
    with pytest.raises(DbopsError, match="cannot be part of a name"):
        set_id(label, 0)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"bucket": "b", "prefix": 5}, "prefix is 5"),
        ({"bucket": "b", "path_style": "yes"}, "path_style is 'yes'"),
        ({"bucket": "b", "endpoint": "localhost:9000"}, "No client for localhost:9000: Invalid endpoint"),
        ({"bucket": "b", "region": "no region!"}, "No client for S3: .*region"),
    ],
)
def test_a_bucket_that_cannot_be_meant(data: dict[str, Any], said: str) -> None:
    with pytest.raises(DbopsError, match=said):
        target_from(data)


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://x"),
        ReadTimeoutError(endpoint_url="https://x"),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        SSLError("[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC]"),  # urllib3's own: TLS that breaks within an object
        ConnectionResetError(104, "Connection reset by peer"),
        ClientError({"Error": {"Code": "SlowDown", "Message": "Reduce"}}, "PutObject"),
        ClientError({}, "PutObject"),
    ],
)
def test_whatever_s3_does_is_told_in_words(error: Exception) -> None:
    with pytest.raises(DbopsError, match="s3://b: cannot write x") as caught, explained("s3://b", "write x"):
        raise error
    assert caught.value.remedy


def test_a_credential_that_is_no_text_shows_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "backup_target_offsite").write_bytes(b"CANARY\xff")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(DbopsError, match="The credential backup_target_offsite is no text") as caught:
        target_from({"bucket": "b", "name": "offsite"})
    assert "CANARY" not in repr(caught.value)
    assert caught.value.__cause__ is None
