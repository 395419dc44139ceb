# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``enums`` of a spec file: the ENUM types that are static states. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError, only


def allowed(section: Mapping[str, Any]) -> tuple[str, ...]:
    """Names or shell patterns of types, with or without their schema.

    :raises SpecError: it is something else.
    """
    only(section, ("allowed",), ("enums",))
    given = section.get("allowed", [])
    if not isinstance(given, list):
        raise SpecError(("enums", "allowed"), f"{given!r} is no list.", "Give names of types.")
    for number, name in enumerate(given):
        if not isinstance(name, str) or not name:
            raise SpecError(("enums", "allowed", number), f"{name!r} is no name of a type.")
    return tuple(given)
