# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A spec file as a whole: each section is validated by its own domain, before anything runs. Pure."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.dbops.postgres.plugins.module_utils._constraints import spec as constraints
from ansible_collections.dbops.postgres.plugins.module_utils._indexes import spec as indexes
from ansible_collections.dbops.postgres.plugins.module_utils._rls import spec as rls
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError, SpecFile

PARSERS: tuple[Callable[[SpecFile], object], ...] = (
    constraints.parse,
    lambda file: rls.parse(file.section("rls")),
    lambda file: indexes.parse(file.section("indexes")),
)


def validate(spec: SpecFile) -> None:
    """Refuse a file that any of its checks would refuse.

    :raises DbopsError: with the file and the line.
    """
    for parse in PARSERS:
        try:
            parse(spec)
        except SpecError as error:
            raise spec.located(error) from None
