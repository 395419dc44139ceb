# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A spec file as a whole: each section is validated by its own domain, before anything runs. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._constraints import spec as constraints
from ansible_collections.dbops.postgres.plugins.module_utils._enums import section as enums
from ansible_collections.dbops.postgres.plugins.module_utils._indexes import spec as indexes
from ansible_collections.dbops.postgres.plugins.module_utils._integrity import spec as integrity
from ansible_collections.dbops.postgres.plugins.module_utils._plans import files as plan_files
from ansible_collections.dbops.postgres.plugins.module_utils._plans import spec as plans
from ansible_collections.dbops.postgres.plugins.module_utils._rls import spec as rls
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError, SpecFile

PARSERS: tuple[Callable[[SpecFile], object], ...] = (
    constraints.parse,
    lambda file: rls.parse(file.section("rls")),
    lambda file: indexes.parse(file.section("indexes")),
    lambda file: plans.parse(file.section("plans")),
    lambda file: integrity.parse(file.section("integrity")),
    lambda file: enums.allowed(file.section("enums")),
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


def with_files(spec: SpecFile, directory: str) -> dict[str, Any]:
    """The data of a valid file with the statements of the files that its queries name, fit to travel to a host.

    :param directory: where relative paths begin.
    :raises DbopsError: with the line, where a file cannot be read.
    """
    section = spec.section("plans")
    if not any("file" in item for item in section.get("queries") or []):
        return spec.data
    try:
        queries = plan_files.with_files(plans.parse(section), directory).queries
    except SpecError as error:
        raise spec.located(error) from None
    items = [
        {**{key: value for key, value in item.items() if key != "file"}, "sql": query.sql}
        for item, query in zip(section["queries"], queries)
    ]
    return {**spec.data, "plans": {**section, "queries": items}}
