# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Speak to S3, and to servers that speak its protocol: the only place that makes a client. Errors come in words."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    HAS_BOTO3 = True
except ImportError:
    HAS_BOTO3 = False

    class ClientError(Exception):  # type: ignore[no-redef]
        """Never raised without boto3."""

    class BotoCoreError(Exception):  # type: ignore[no-redef]
        """Never raised without boto3."""

    class HTTPError(Exception):  # type: ignore[no-redef]
        """Never raised without boto3."""


__all__ = ["BotoCoreError", "ClientError", "Endpoint", "client", "code_of", "explained", "keys_from"]

_ATTEMPTS = 5
_CONNECT_SECONDS, _READ_SECONDS = 10, 60


@dataclass(frozen=True)
class Endpoint:
    """How to speak to the server of a bucket.

    :param endpoint: URL of a server other than AWS's; empty: AWS.
    :param ca: file of the authority of its certificate; empty: the system's.
    :param path_style: the bucket's name in the path and not in the host name.
    :param checksums: ``when_supported``, or ``when_required`` for servers that do not know AWS's newer ones.
    """

    endpoint: str = ""
    region: str = ""
    ca: str = ""
    path_style: bool = False
    checksums: str = "when_supported"


def client(where: Endpoint, keys: Mapping[str, str] | None = None, connections: int = 4) -> Any:
    """A client of boto3.

    :param keys: ``access_key_id``, ``secret_access_key``, ``session_token``; empty: what boto3 finds (environment,
        instance profile).
    :raises DbopsError: boto3 is missing, or the endpoint or the region is none.
    """
    if not HAS_BOTO3:
        raise DbopsError("boto3 is missing on this host", "Install the package python3-boto3.")
    options: dict[str, Any] = {
        "retries": {"mode": "standard", "max_attempts": _ATTEMPTS},
        "connect_timeout": _CONNECT_SECONDS,
        "read_timeout": _READ_SECONDS,
        "max_pool_connections": connections,
    }
    if where.path_style:
        options["s3"] = {"addressing_style": "path"}
    try:
        return _client(where, keys or {}, _config(options, where.checksums))
    except (BotoCoreError, ValueError) as error:
        raise DbopsError(
            f"No client for {where.endpoint or 'S3'}: {' '.join(str(error).split())}",
            "Look at endpoint (https://host:port) and region, and at AWS_* of the environment.",
        ) from None


def _client(where: Endpoint, given: Mapping[str, str], config: Any) -> Any:
    session = boto3.session.Session(
        aws_access_key_id=given.get("access_key_id"),
        aws_secret_access_key=given.get("secret_access_key"),
        aws_session_token=given.get("session_token"),
        region_name=where.region or None,
    )
    return session.client("s3", endpoint_url=where.endpoint or None, verify=where.ca or None, config=config)


def _config(options: dict[str, Any], checksums: str) -> Any:
    try:
        return Config(**options, request_checksum_calculation=checksums, response_checksum_validation=checksums)
    except TypeError:  # botocore before 1.36 sends none of its own
        return Config(**options)


@contextlib.contextmanager
def explained(name: str, what: str) -> Generator[None, None, None]:
    """Errors of boto3 in words; none of them holds a secret."""
    try:
        yield
    except ClientError as error:
        code = code_of(error)
        said = error.response.get("Error", {}).get("Message", "")
        raise DbopsError(f"{name}: cannot {what}: {code} {said}".rstrip(), _remedy(code)) from None
    except FileNotFoundError:
        raise  # the caller's own word for an object that is not there
    except (BotoCoreError, HTTPError, OSError) as error:  # HTTPError: TLS that breaks in the middle of an object
        raise DbopsError(
            f"{name}: cannot {what}: {' '.join(str(error).split())}",
            "Look at the network, the endpoint, its certificate and the keys.",
        ) from None


def code_of(error: Any) -> str:
    """What the server calls an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


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


def _remedy(code: str) -> str:
    if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "AccessDenied", "403", "Forbidden"):
        return "Look at the credential of this target: is it valid, and may it do that there?"
    if code in ("NoSuchBucket", "404"):
        return "Make the bucket, or name another."
    return "Look at the server of this target."
