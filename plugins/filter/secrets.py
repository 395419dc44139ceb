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


def secret_items(items: Sequence[Mapping[str, Any]], max_age_days: int = 90) -> list[dict[str, Any]]:
    """The declared secrets, checked, with defaults filled in."""
    try:
        return source.check_items(items, max_age_days)
    except DbopsError as error:
        raise AnsibleFilterError(str(error)) from None


def secret_deliveries(items: Sequence[Mapping[str, Any]], max_age_days: int = 90) -> list[dict[str, Any]]:
    """What is delivered where, of the declared secrets."""
    return source.deliveries(secret_items(items, max_age_days))


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
            "secret_deliveries": secret_deliveries,
            "secret_items": secret_items,
        }
