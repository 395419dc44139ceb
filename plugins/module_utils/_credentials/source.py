# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a secret comes from, and the items of the role ``secrets``: validation. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError


class Kind(NamedTuple):
    """A kind of source: the keys that it needs, those that it may have, and whether a secret can be written to it."""

    needs: tuple[str, ...]
    may: tuple[str, ...] = ()
    writable: bool = False


KINDS: dict[str, Kind] = {
    "value": Kind(("value",)),
    "file": Kind(("path",)),
    "vault_file": Kind(("path", "vault_password"), ("vault_id",), writable=True),
    "host": Kind(()),
    "hashi_vault": Kind(("path", "field"), ("mount", "options"), writable=True),
    "aws_secretsmanager": Kind(("secret",), ("options",), writable=True),
    "doppler": Kind(("project", "config", "secret", "token"), ("url",), writable=True),
}

LOGINS = ("a", "b")  # suffixes of the two logins of a service

_ITEM = ("name", "source", "generate", "url", "consumers", "rotate", "max_age_days")
_CONSUMER = ("unit", "host", "apply", "prove", "path", "owner", "group")
_URL = ("user", "host", "port", "database", "parameters")
_ROTATE = ("role", "grace_seconds")
_APPLY = ("restart", "reload", "none")


def check_source(source: Mapping[str, Any], subject: str = "The source") -> Kind:
    """The kind of a source.

    :raises DbopsError: what it lacks or has too much, never one of its values.
    """
    kind = KINDS.get(str(source.get("type", "")))
    if kind is None:
        raise DbopsError(f"{subject} has no known type", f"Choose one of {', '.join(KINDS)}.")
    name = f"{subject} of type {source['type']}"
    missing = [key for key in kind.needs if key not in source]
    if missing:
        raise DbopsError(f"{name} lacks {', '.join(missing)}")
    _only(source, ("type", *kind.needs, *kind.may), name)
    return kind


def check_items(items: Sequence[Mapping[str, Any]], max_age_days: int) -> list[dict[str, Any]]:
    """The variable ``secrets_items`` with everything filled in that may be left out.

    :param max_age_days: for items that do not say it themselves.
    :raises DbopsError: the first thing that cannot be meant, with the name of its item.
    """
    found = [_item(item, max_age_days) for item in items]
    names = [item["name"] for item in found]
    for name in sorted(set(names)):
        if names.count(name) > 1:
            raise DbopsError(f"Secret {name!r} is declared {names.count(name)} times", "Declare it once.")
    return found


def _item(item: Mapping[str, Any], max_age_days: int) -> dict[str, Any]:
    subject = f"Secret {item.get('name', '')!r}"
    _only(item, _ITEM, subject)
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", str(item.get("name", ""))):
        raise DbopsError(f"{subject}: this is no name", "Use letters, digits, '_', '-' and '.'.")
    if not isinstance(item.get("source"), Mapping):
        raise DbopsError(f"{subject} has no source")
    kind = check_source(item["source"], f"The source of secret {item['name']!r}")
    host = item["source"]["type"] == "host"
    generate = int(item.get("generate") or 0)
    if generate and not (kind.writable or host):
        raise DbopsError(
            f"{subject} cannot be generated: nothing can be written to a source of type {item['source']['type']}"
        )
    rotate, url = item.get("rotate") or {}, item.get("url") or {}
    _only(rotate, _ROTATE, f"{subject}: rotate")
    _only(url, _URL, f"{subject}: url")
    if rotate and not (kind.writable or host):
        raise DbopsError(f"{subject} cannot be rotated: its source of type {item['source']['type']} is read-only")
    if rotate and not rotate.get("role"):
        raise DbopsError(f"{subject}: rotate lacks role, the role whose two logins take turns")
    needed = ("host", "database") if rotate else ("user", "host", "database")
    lacking = [key for key in needed if (url or rotate) and not url.get(key)]
    if lacking:
        raise DbopsError(f"{subject}: url lacks {', '.join(lacking)}")
    if rotate and "user" in url:
        raise DbopsError(f"{subject}: url has a user, but its logins take turns", "Leave the user out.")
    if host and url and not rotate:
        raise DbopsError(f"{subject}: what is generated on the host cannot become part of a URL", "Use another source.")
    consumers = [_consumer(consumer, subject) for consumer in item.get("consumers") or []]
    if host and any(consumer["host"] for consumer in consumers):
        raise DbopsError(f"{subject} is sealed to its host, but a consumer is on another one", "Use another source.")
    return {
        "name": item["name"],
        "source": dict(item["source"]),
        "generate": 0 if rotate else generate or (40 if host else 0),
        "url": {"port": 5432, "parameters": {"sslmode": "verify-full"}, **url} if url else {},
        "consumers": consumers,
        "rotate": {"grace_seconds": 3600, **rotate} if rotate else {},
        "max_age_days": int(item.get("max_age_days") or max_age_days),
    }


def _consumer(consumer: Mapping[str, Any], subject: str) -> dict[str, Any]:
    _only(consumer, _CONSUMER, f"{subject}: a consumer")
    if not consumer.get("unit") and not consumer.get("path"):
        raise DbopsError(f"{subject}: a consumer has neither unit nor path")
    how = consumer.get("apply", "restart" if consumer.get("unit") else "none")
    if how not in _APPLY:
        raise DbopsError(f"{subject}: apply is {how!r}", f"Choose one of {', '.join(_APPLY)}.")
    if how == "reload" and not consumer.get("path"):
        raise DbopsError(
            f"{subject}: {consumer.get('unit')} is to be reloaded, but systemd loads credentials at start only",
            "Restart it, or give it a file with path.",
        )
    return {
        "unit": consumer.get("unit", ""),
        "host": consumer.get("host", ""),
        "apply": how,
        "prove": bool(consumer.get("prove", how != "none")),
        "path": consumer.get("path", ""),
        "owner": consumer.get("owner", "root"),
        "group": consumer.get("group", consumer.get("owner", "root")),
    }


def deliveries(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One entry per secret, host and way: what one call of the module ``systemd_credential`` delivers.

    Consumers that load a credential share one sealed file on a host; each file is one of its own. A secret without
    consumers is delivered to the host itself only when that is where it lives.
    """
    found: list[dict[str, Any]] = []
    for item in items:
        hosts = {consumer["host"]: True for consumer in item["consumers"] if not consumer["path"]}
        if item["source"]["type"] == "host":
            hosts[""] = True
        for host in hosts:
            units = [c["unit"] for c in item["consumers"] if c["host"] == host and not c["path"]]
            found.append({"item": item, "host": host, "credential": {"name": item["name"], "units": units}})
        for consumer in item["consumers"]:
            if consumer["path"]:
                file = {key: consumer[key] for key in ("path", "owner", "group")}
                units = [consumer["unit"]] if consumer["unit"] else []
                name = f"{item['name']}.{consumer['path'].strip('/').replace('/', '.')}"[:128]
                file = {"name": name, "delivery": "file", "units": units, **file}
                found.append({"item": item, "host": consumer["host"], "credential": file})
    return found


def _only(given: Mapping[str, Any], known: Sequence[str], subject: str) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise DbopsError(f"{subject} has {', '.join(unknown)}, which is unknown", f"It may have {', '.join(known)}.")
