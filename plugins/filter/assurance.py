# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the playbook ``assure``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.dbops.postgres.plugins.module_utils import _specfile
from ansible_collections.dbops.postgres.plugins.module_utils._assurance.results import gathered
from ansible_collections.dbops.postgres.plugins.module_utils._assurance.whole import validate, with_files
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError


def assurance_spec(given: str | Mapping[str, Any], database: str = "") -> dict[str, Any]:
    """A spec file, validated, as the option ``spec`` of a check takes it, and the database that is looked into.

    :param given: path of the file on the controller, or its content.
    :param database: look into this one, whatever the file says.
    """
    try:
        if isinstance(given, Mapping):
            spec, directory = _specfile.from_data(dict(given)), ""
        else:
            spec, directory = _specfile.given({"spec_file": str(given)}), str(Path(given).parent)
        validate(spec)
        data = with_files(spec, directory)
    except DbopsError as error:
        raise AnsibleFilterError(str(error)) from None
    return {
        "name": spec.name,
        "database": database or spec.database or "postgres",
        "spec": data,
        "lines": {_specfile.dotted(where): line for where, line in spec.lines.items()},
    }


def assurance_results(
    returned: Mapping[str, Any], host: str, given: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What the checks of a host returned, by ``host/database``, as the module readiness_report joins it.

    :param given: what ``assurance_spec`` made of each spec file.
    """
    return gathered(returned, host, given)


class FilterModule:
    """The filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {"assurance_results": assurance_results, "assurance_spec": assurance_spec}
