# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role ``secrets``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.dbops.postgres.plugins.module_utils import _secrets
from ansible_collections.dbops.postgres.plugins.module_utils._credentials import source
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

DAY = 86400


def secret_items(items: Sequence[Mapping[str, Any]], max_age_days: int = 90) -> list[dict[str, Any]]:
    """The declared secrets, checked, with defaults filled in."""
    try:
        return source.check_items(items, max_age_days)
    except DbopsError as error:
        raise AnsibleFilterError(str(error)) from None


def secret_deliveries(items: Sequence[Mapping[str, Any]], max_age_days: int = 90) -> list[dict[str, Any]]:
    """What is delivered where, of the declared secrets."""
    return source.deliveries(secret_items(items, max_age_days))


def delivered_secrets(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the deliveries of a loop came to, without their secrets: fit for the items of another loop."""
    return [
        {
            "host": done["secrets_delivery"]["host"],
            "evidence": {
                "secret": done["secrets_delivery"]["item"]["name"],
                "max_age_days": done["secrets_delivery"]["item"]["max_age_days"],
                "path": stored["path"],
                "sealed": stored["sealed"],
                "since": stored["since"],
            },
            "credential": stored["name"],
        }
        for done in results
        for stored in done["credentials"]
    ]


def stale_consumers(results: Sequence[Mapping[str, Any]], all: bool = False) -> list[dict[str, Any]]:
    """The consumers that run with what was there before the deliveries of a loop, and that want to be told.

    :param all: all that run, whether their files changed or not.
    """
    return [
        {key: consumer[key] for key in ("unit", "host", "apply", "prove")}
        for done in results
        for consumer in done["secrets_delivery"]["item"]["consumers"]
        if consumer["unit"] in done["running_units" if all else "active_units"]
        and consumer["host"] == done["secrets_delivery"]["host"]
        and consumer["path"] == done["secrets_delivery"]["credential"].get("path", "")
        and consumer["apply"] != "none"
    ]


def secret_ages(evidence: Sequence[Mapping[str, Any]], now: float) -> list[str]:
    """A line for each secret: its age in days, and whether that is within its policy."""
    lines = []
    for item in evidence:
        days = int(now - item["since"]) // DAY
        verdict = "ok" if days <= item["max_age_days"] else "too old"
        what = f"login {item['active']}" if "active" in item else item["path"]
        lines.append(f"{item['secret']} ({what}): {days} of {item['max_age_days']} days, {verdict}")
    return lines


def connection_url(password: str, url: Mapping[str, Any]) -> str:
    """A connection URL of a password and the other parts."""
    return _secrets.connection_url(
        url["user"], password, url["host"], int(url.get("port", 5432)), url["database"], url.get("parameters", {})
    )


class FilterModule:
    """The filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {
            "connection_url": connection_url,
            "delivered_secrets": delivered_secrets,
            "secret_deliveries": secret_deliveries,
            "secret_ages": secret_ages,
            "secret_items": secret_items,
            "stale_consumers": stale_consumers,
        }
