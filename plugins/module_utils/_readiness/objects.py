# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the buckets that were named: their lifecycle and their guards, as their server says them. Read-only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils import _s3
from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import Bucket, Seen, Unseen

_UNKNOWN = ("NotImplemented", "MethodNotAllowed", "501")
_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def observe(buckets: Sequence[Mapping[str, Any]]) -> Seen[tuple[Bucket, ...]]:
    """The named buckets, each with what could be seen of it."""
    if not buckets:
        return Unseen(Status.NOT_TESTED, "No bucket is named (object_buckets).")
    found = []
    for item in buckets:
        where = _s3.Endpoint(
            endpoint=item.get("endpoint") or "",
            region=item.get("region") or "",
            ca=item.get("ca") or "",
            path_style=bool(item.get("path_style")),
        )
        try:
            found.append(bucket(_s3.client(where), str(item["bucket"])))
        except DbopsError as error:
            found.append(Bucket(str(item["bucket"]), Unseen(Status.ERROR, error.problem)))
    return tuple(found)


def bucket(client: Any, name: str) -> Bucket:
    """One bucket.

    :raises DbopsError: it cannot be asked.
    """

    def asked(what: str, call: Any, none: str) -> Any:
        """What the server says; {}: it has none; None: it does not know such a thing."""
        with _s3.explained(f"bucket {name}", f"read its {what}"):
            try:
                return call(Bucket=name)
            except _s3.ClientError as error:
                if _s3.code_of(error) == none:
                    return {}
                if _s3.code_of(error) in _UNKNOWN:
                    return None
                raise

    lifecycle = asked("lifecycle", client.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration")
    blocked = asked("public access", client.get_public_access_block, "NoSuchPublicAccessBlockConfiguration")
    encrypted = asked("encryption", client.get_bucket_encryption, "ServerSideEncryptionConfigurationNotFoundError")
    versions = asked("versioning", client.get_bucket_versioning, "")
    block = (blocked or {}).get("PublicAccessBlockConfiguration", {})
    rules = (encrypted or {}).get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    kinds = [rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm", "") for rule in rules]
    return Bucket(
        name,
        tuple((lifecycle or {}).get("Rules", [])),
        public_blocked=None if blocked is None else all(block.get(item) is True for item in _BLOCKS),
        encryption=None if encrypted is None else ", ".join(filter(None, kinds)),
        versioned=None if versions is None else versions.get("Status") == "Enabled",
    )
