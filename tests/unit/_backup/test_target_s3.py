# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket as a target, at a server that knows AWS's own parameters (moto): parts, encryption, class, what is left."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from ansible_collections.dbops.postgres.plugins.module_utils import _s3
from ansible_collections.dbops.postgres.plugins.module_utils._backup import target, target_s3
from ansible_collections.dbops.postgres.plugins.module_utils._backup.target_s3 import S3, Bucket
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

KEYS = {"access_key_id": "CANARYKEYID", "secret_access_key": "canary-secret"}
ID = "20261124T010000Z-a"
PART = 5 << 20  # the smallest that S3 takes
DATA = os.urandom(1 << 20) * 12  # two parts and a rest


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_s3, "PART", PART)
    monkeypatch.setattr(_s3, "_ATTEMPTS", 1)


def bucket(endpoint: str, name: str = "backups", **more: Any) -> S3:
    where = Bucket(endpoint=endpoint, region="us-east-1", path_style=True, bucket=name, prefix="db1", **more)
    made = S3(where, KEYS)
    if name == "backups":
        made.client.create_bucket(Bucket=name)
    return made


def test_parts_with_the_declared_encryption_and_class_are_proven(endpoint: str) -> None:
    place = bucket(endpoint, encryption="aws:kms", kms_key="alias/backups", storage_class="STANDARD_IA")
    writer = place.writer(ID, "shop.dump")
    for start in range(0, len(DATA), 300_000):
        writer.write(DATA[start : start + 300_000])
    writer.finish(hashlib.sha256(DATA).hexdigest())
    target.put(place, ID, "complete.json", b"{}")
    for name in ("shop.dump", "complete.json"):
        found = place.head(place.key(ID, name))
        assert (found["ServerSideEncryption"], found["StorageClass"]) == ("aws:kms", "STANDARD_IA")
        assert found["SSEKMSKeyId"] == "alias/backups"
    assert b"".join(place.read(ID, "shop.dump")) == DATA
    assert place.complete_sets() == [ID]
    place.remove(ID)
    assert place.sets() == []
    assert place.size(ID, "shop.dump") == -1


@pytest.mark.parametrize(
    ("answer", "said"), [({"ContentLength": 7}, "has 7 bytes of 2"), ({"ETag": "another"}, "is not what was sent")]
)
def test_what_lies_there_is_not_what_was_sent(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], said: str
) -> None:
    place = bucket(endpoint)
    head = place.head
    monkeypatch.setattr(place, "head", lambda key: {**head(key), **answer})
    with pytest.raises(DbopsError, match=f"object db1/{ID}/x {said}"):
        _put(place, "0" * 64)


def _put(place: S3, sha256: str) -> None:
    writer = place.writer(ID, "x")
    writer.write(b"ab")
    writer.finish(sha256)


def test_the_parts_of_a_run_that_was_killed_go_with_its_set(endpoint: str) -> None:
    place = bucket(endpoint)
    place.writer(ID, "shop.dump").write(DATA)
    assert [item["Key"] for item in uploads(place)] == [f"db1/{ID}/shop.dump"]
    place.remove(ID)
    assert uploads(place) == []


def test_an_upload_that_is_given_up_leaves_no_part(endpoint: str) -> None:
    place = bucket(endpoint)
    writer = place.writer(ID, "shop.dump")
    writer.write(DATA)
    writer.abort()
    assert uploads(place) == []


def uploads(place: S3) -> list[dict[str, Any]]:
    found = place.client.list_multipart_uploads(Bucket=place.where.bucket).get("Uploads", [])
    return list(found)


def test_what_is_not_there(endpoint: str) -> None:
    with pytest.raises(FileNotFoundError):
        list(bucket(endpoint).read(ID, "nothing"))
    gone = bucket(endpoint, "no-such-bucket")
    for do in (gone.sets, lambda: _put(gone, "0" * 64), lambda: gone.remove(ID)):
        with pytest.raises(DbopsError, match="NoSuchBucket") as caught:
            do()
        assert caught.value.remedy == "Make the bucket, or name another."


def test_a_server_that_does_not_answer_is_told_without_the_keys() -> None:
    place = bucket("http://127.0.0.1:9", "other")
    for do in (
        place.sets,
        lambda: _put(place, "0" * 64),
        lambda: place.remove(ID),
        lambda: place.size(ID, "x"),
    ):
        with pytest.raises(DbopsError, match=r"cannot .*127\.0\.0\.1:9") as caught:
            do()
        assert "canary" not in str(caught.value).lower()
