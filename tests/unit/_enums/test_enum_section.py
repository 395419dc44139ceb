# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section of a spec file that lists static states."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._enums.section import allowed
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError


def test_names_and_patterns() -> None:
    assert allowed({}) == ()
    assert allowed({"allowed": ["weekday", "public.card_*"]}) == ("weekday", "public.card_*")


@pytest.mark.parametrize(
    ("section", "where"),
    [
        ({"allowd": []}, ("enums", "allowd")),
        ({"allowed": "weekday"}, ("enums", "allowed")),
        ({"allowed": ["weekday", 3]}, ("enums", "allowed", 1)),
        ({"allowed": [""]}, ("enums", "allowed", 0)),
    ],
)
def test_what_is_refused(section: dict[str, Any], where: tuple[str | int, ...]) -> None:
    with pytest.raises(SpecError) as raised:
        allowed(section)
    assert raised.value.where == where
