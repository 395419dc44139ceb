# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket as a target: S3, and servers that speak its protocol.

Objects are streamed in parts. Every part is sent with its MD5, so that the server refuses one that was damaged on its
way; what fails is sent again (botocore's standard retries). Afterwards the object's size, and the checksum that the
server made of the parts (its ETag), must be ours; where the server has no such checksum, the object is read back.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils import _s3
from ansible_collections.dbops.postgres.plugins.module_utils._backup import manifest
from ansible_collections.dbops.postgres.plugins.module_utils._backup.target import CHUNK, Found, Writer, is_set
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._s3 import BotoCoreError, ClientError, Endpoint

# S3 takes 10,000 parts of at least 5 MiB (User Guide, "multipart upload limits"). Later parts are larger, so that the
# limit is beyond 800 GiB while a small object needs little memory.
PART = 16 << 20
_STEP = 1000
_UPLOADS = 2


@dataclass(frozen=True)
class Bucket(Endpoint):
    """Where in which bucket.

    :param encryption: ``AES256``, ``aws:kms`` or empty: the bucket's own.
    :param storage_class: of objects; empty: the bucket's own.
    """

    bucket: str = ""
    prefix: str = ""
    encryption: str = ""
    kms_key: str = ""
    storage_class: str = ""


class S3:
    """Sets in a bucket, below a prefix.

    :param keys: as :func:`_s3.client` takes them.
    """

    def __init__(self, where: Bucket, keys: Mapping[str, str] | None = None) -> None:
        self.where = where
        self.prefix = f"{where.prefix.strip('/')}/" if where.prefix.strip("/") else ""
        self.client: Any = _s3.client(where, keys, _UPLOADS + 2)

    @property
    def name(self) -> str:
        """As a person names it."""
        place = f"s3://{self.where.bucket}/{self.prefix}".rstrip("/")
        return f"{place} at {self.where.endpoint}" if self.where.endpoint else place

    @property
    def off_host(self) -> bool:
        """A bucket outlives the host."""
        return True

    def sets(self) -> Sequence[Found]:
        """Every set, complete or not."""
        complete: dict[str, bool] = {}
        changed: dict[str, float] = {}
        for item in self._objects(self.prefix):
            set_id, _slash, name = item["Key"][len(self.prefix) :].partition("/")
            if is_set(set_id):
                complete[set_id] = complete.get(set_id, False) or name == manifest.COMPLETE
                changed[set_id] = max(changed.get(set_id, 0.0), item["LastModified"].timestamp())
        return [Found(set_id, done, changed[set_id]) for set_id, done in sorted(complete.items())]

    def complete_sets(self) -> Sequence[str]:
        """The ids of the sets that are complete."""
        return [item.id for item in self.sets() if item.complete]

    def read(self, set_id: str, name: str) -> Iterator[bytes]:
        """The bytes of an object as they are stored."""
        with self.explained(f"read {set_id}/{name}"):
            try:
                body = self.client.get_object(Bucket=self.where.bucket, Key=self.key(set_id, name))["Body"]
            except ClientError as error:
                if _missing(error):
                    raise FileNotFoundError(2, "no such object", name) from None
                raise
            yield from body.iter_chunks(CHUNK)

    def size(self, set_id: str, name: str) -> int:
        """How large an object is; -1: there is none."""
        with self.explained(f"look at {set_id}/{name}"):
            try:
                return int(self.head(self.key(set_id, name))["ContentLength"])
            except ClientError as error:
                if _missing(error):
                    return -1
                raise

    def writer(self, set_id: str, name: str) -> Writer:
        """A new object."""
        return _Upload(self, self.key(set_id, name))

    def remove(self, set_id: str) -> None:
        """Remove a set, its marker first, and what uploads that were cut off have left of it."""
        with self.explained(f"remove {set_id}"):
            self.client.delete_object(Bucket=self.where.bucket, Key=self.key(set_id, manifest.COMPLETE))
            prefix = self.key(set_id, "")
            for item in list(self._objects(prefix)):
                self.client.delete_object(Bucket=self.where.bucket, Key=item["Key"])
            self.abort_uploads(prefix)

    def abort_uploads(self, prefix: str) -> None:
        """End the uploads below a prefix that nobody will finish."""
        try:
            pages = self.client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.where.bucket, Prefix=prefix
            )
            for item in [item for page in pages for item in page.get("Uploads", ())]:
                self.client.abort_multipart_upload(Bucket=self.where.bucket, Key=item["Key"], UploadId=item["UploadId"])
        except ClientError as error:
            if not _missing(error):  # some servers say so when there is none
                raise

    def key(self, set_id: str, name: str) -> str:
        """The key of an object."""
        return f"{self.prefix}{set_id}/{name}"

    def head(self, key: str) -> Any:
        """What the server says of an object."""
        return self.client.head_object(Bucket=self.where.bucket, Key=key)

    def _objects(self, prefix: str) -> Iterator[Any]:
        with self.explained("list the sets"):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.where.bucket, Prefix=prefix)
            for page in pages:
                yield from page.get("Contents", ())

    @property
    def extra(self) -> dict[str, str]:
        """What every new object is given."""
        found = {
            "ServerSideEncryption": self.where.encryption,
            "SSEKMSKeyId": self.where.kms_key,
            "StorageClass": self.where.storage_class,
        }
        return {key: value for key, value in found.items() if value}

    def explained(self, what: str) -> contextlib.AbstractContextManager[None]:
        """Errors of boto3 in words."""
        return _s3.explained(self.name, what)


class _Upload:
    """An object in the making: parts are sent by threads while the next ones come."""

    def __init__(self, target: S3, key: str) -> None:
        self._target, self._key = target, key
        self._buffer = bytearray()
        self._parts: list[Future[str]] = []
        self._digests: list[bytes] = []
        self._id = ""
        self._size = 0
        self._pool = ThreadPoolExecutor(max_workers=_UPLOADS)

    def write(self, chunk: bytes) -> None:
        self._buffer += chunk
        self._size += len(chunk)
        while len(self._buffer) >= self._part:
            part = bytes(memoryview(self._buffer)[: self._part])
            del self._buffer[: self._part]
            self._send(part)

    @property
    def _part(self) -> int:
        return PART * (1 + len(self._parts) // _STEP)

    @property
    def _place(self) -> dict[str, str]:
        return {"Bucket": self._target.where.bucket, "Key": self._key}

    def _send(self, part: bytes) -> None:
        with self._target.explained(f"write {self._key}"):
            if not self._id:
                made = self._target.client.create_multipart_upload(**self._place, **self._target.extra)
                self._id = str(made["UploadId"])
            number = len(self._parts) + 1
            digest = hashlib.md5(part, usedforsecurity=False).digest()
            self._digests.append(digest)
            if number > _UPLOADS:  # memory is bounded: no more parts wait than are being sent
                self._parts[number - _UPLOADS - 1].result()
            self._parts.append(self._pool.submit(self._put, number, part, digest))

    def _put(self, number: int, part: bytes, digest: bytes) -> str:
        answer = self._target.client.upload_part(
            **self._place,
            PartNumber=number,
            UploadId=self._id,
            Body=part,
            ContentMD5=base64.b64encode(digest).decode(),
        )
        return str(answer["ETag"])

    def finish(self, sha256: str) -> None:
        with self._target.explained(f"write {self._key}"):
            client = self._target.client
            if not self._id:
                data = bytes(self._buffer)
                digest = hashlib.md5(data, usedforsecurity=False)
                sent = base64.b64encode(digest.digest()).decode()
                client.put_object(**self._place, Body=data, ContentMD5=sent, **self._target.extra)
                expected = digest.hexdigest()
            else:
                if self._buffer:
                    self._send(bytes(self._buffer))
                tags = [part.result() for part in self._parts]
                parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
                client.complete_multipart_upload(**self._place, UploadId=self._id, MultipartUpload={"Parts": parts})
                whole = hashlib.md5(b"".join(self._digests), usedforsecurity=False).hexdigest()
                expected = f"{whole}-{len(parts)}"
            self._buffer.clear()
            self._pool.shutdown()
            self._prove(expected, sha256)

    def _prove(self, expected: str, sha256: str) -> None:
        found = self._target.head(self._key)
        if int(found["ContentLength"]) != self._size:
            raise self._wrong(f"has {found['ContentLength']} bytes of {self._size}")
        if str(found["ETag"]).strip('"') == expected:
            return
        digest = hashlib.sha256()
        for chunk in self._target.client.get_object(**self._place)["Body"].iter_chunks(CHUNK):
            digest.update(chunk)
        if digest.hexdigest() != sha256:
            raise self._wrong("is not what was sent")

    def _wrong(self, what: str) -> DbopsError:
        return DbopsError(f"{self._target.name}: object {self._key} {what}", "Look at the server of this target.")

    def abort(self) -> None:
        self._buffer.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._id:
            with contextlib.suppress(ClientError, BotoCoreError):
                self._target.client.abort_multipart_upload(**self._place, UploadId=self._id)


def _missing(error: Any) -> bool:
    return _s3.code_of(error) in ("404", "NoSuchKey", "NoSuchUpload", "NotFound")
