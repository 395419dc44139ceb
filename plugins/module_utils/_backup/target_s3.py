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
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._backup import manifest
from ansible_collections.dbops.postgres.plugins.module_utils._backup.target import CHUNK, SET_ID, Found, Writer
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    HAS_BOTO3 = True
except ImportError:
    HAS_BOTO3 = False

# S3 takes 10,000 parts of at least 5 MiB (User Guide, "multipart upload limits"). Later parts are larger, so that the
# limit is beyond 800 GiB while a small object needs little memory.
PART = 16 << 20
_STEP = 1000
_UPLOADS = 2
_ATTEMPTS = 5
_CONNECT_SECONDS, _READ_SECONDS = 10, 60


@dataclass(frozen=True)
class Bucket:
    """Where in which bucket, and how to speak to its server.

    :param endpoint: URL of a server other than AWS's; empty: AWS.
    :param ca: file of the authority of its certificate; empty: the system's.
    :param path_style: the bucket's name in the path and not in the host name.
    :param checksums: ``when_supported``, or ``when_required`` for servers that do not know AWS's newer ones.
    :param encryption: ``AES256``, ``aws:kms`` or empty: the bucket's own.
    :param storage_class: of objects; empty: the bucket's own.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    ca: str = ""
    path_style: bool = False
    checksums: str = "when_supported"
    encryption: str = ""
    kms_key: str = ""
    storage_class: str = ""


class S3:
    """Sets in a bucket, below a prefix.

    :param keys: ``access_key_id`` and ``secret_access_key``; empty: what boto3 finds (environment, instance profile).
    """

    def __init__(self, where: Bucket, keys: Mapping[str, str] | None = None) -> None:
        if not HAS_BOTO3:
            raise DbopsError("boto3 is missing on this host", "Install the package python3-boto3.")
        self.where = where
        self.prefix = f"{where.prefix.strip('/')}/" if where.prefix.strip("/") else ""
        options: dict[str, Any] = {
            "retries": {"mode": "standard", "max_attempts": _ATTEMPTS},
            "connect_timeout": _CONNECT_SECONDS,
            "read_timeout": _READ_SECONDS,
            "max_pool_connections": _UPLOADS + 2,
        }
        if where.path_style:
            options["s3"] = {"addressing_style": "path"}
        given = keys or {}
        session = boto3.session.Session(
            aws_access_key_id=given.get("access_key_id"),
            aws_secret_access_key=given.get("secret_access_key"),
            aws_session_token=given.get("session_token"),
            region_name=where.region or None,
        )
        self.client: Any = session.client(
            "s3", endpoint_url=where.endpoint or None, verify=where.ca or None, config=_config(options, where.checksums)
        )

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
            if SET_ID.fullmatch(set_id):
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

    @contextlib.contextmanager
    def explained(self, what: str) -> Generator[None, None, None]:
        """Errors of boto3 in words; none of them holds a secret."""
        try:
            yield
        except ClientError as error:
            said = error.response.get("Error", {})
            code = str(said.get("Code", ""))
            raise DbopsError(
                f"{self.name}: cannot {what}: {code} {said.get('Message', '')}".rstrip(), _remedy(code)
            ) from None
        except BotoCoreError as error:
            raise DbopsError(
                f"{self.name}: cannot {what}: {' '.join(str(error).split())}",
                "Look at the network, the endpoint and its certificate.",
            ) from None


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


def keys_from(text: str, credential: str) -> dict[str, str]:
    """The keys in a credential: JSON with ``access_key_id`` and ``secret_access_key``.

    :raises DbopsError: without what it says.
    """
    try:
        found = json.loads(text)
        return {
            "access_key_id": str(found["access_key_id"]),
            "secret_access_key": str(found["secret_access_key"]),
            **({"session_token": str(found["session_token"])} if found.get("session_token") else {}),
        }
    except (ValueError, KeyError, TypeError):
        raise DbopsError(
            f"The credential {credential} is not as it should be",
            'JSON: {"access_key_id": "...", "secret_access_key": "..."} (role backup delivers it).',
        ) from None


def _config(options: dict[str, Any], checksums: str) -> Any:
    try:
        return Config(**options, request_checksum_calculation=checksums, response_checksum_validation=checksums)
    except TypeError:  # botocore before 1.36 sends none of its own
        return Config(**options)


def _missing(error: Any) -> bool:
    return str(error.response.get("Error", {}).get("Code", "")) in ("404", "NoSuchKey", "NoSuchUpload", "NotFound")


def _remedy(code: str) -> str:
    if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "AccessDenied", "403", "Forbidden"):
        return "Look at the credential of this target: is it valid, and may it list, read, write and delete there?"
    if code in ("NoSuchBucket", "404"):
        return "Make the bucket, or name another."
    return "Look at the server of this target."
