# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that guard and mask connection URLs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.dbops.postgres.plugins.module_utils import _urls
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError


def database_url(
    url: str | None, environment: str, minimum: Mapping[str, str] | None = None, several_hosts: bool = False
) -> str:
    """The URL, when it may be used in this environment."""
    if url is not None and not isinstance(url, str):
        raise AnsibleFilterError("dbops.postgres.database_url wants a URL, a text.")
    try:
        _urls.check_minimum(minimum or {})
        return _urls.guard_url(url, environment, minimum, several_hosts=several_hosts)
    except DbopsError as error:
        raise AnsibleFilterError(str(error)) from None


def masked_url(url: str) -> str:
    """The URL without its secrets."""
    if not isinstance(url, str):
        raise AnsibleFilterError("dbops.postgres.masked_url wants a URL, a text.")
    return _urls.mask_url(url)


class FilterModule:
    """The filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {"database_url": database_url, "masked_url": masked_url}
