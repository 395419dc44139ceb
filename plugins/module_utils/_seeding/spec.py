# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of a database: parameters into a frozen specification, and every error about them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

SYSTEM = ("pg_catalog", "information_schema", "pg_toast", "dbops")


@dataclass(frozen=True)
class GuardSpec:
    """The guard of one database.

    :param present: False: it is removed.
    :param schemas: whose tables are guarded.
    :param exempt: ``schema.table`` that may be emptied all the same.
    :param seed_roles: what they may not do in production is to change anything in these schemas.
    :param allowed_roles: logins that may empty tables in production, with the words.
    :param callers: who else may call ``dbops.assert_not_production()``.
    :param environment: what the database is where the server does not say it.
    """

    present: bool = True
    schemas: tuple[str, ...] = ("public",)
    exempt: tuple[str, ...] = ()
    seed_roles: tuple[str, ...] = ()
    allowed_roles: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    environment: str = ""

    @property
    def settings(self) -> str:
        """What the functions of the guard read."""
        return json.dumps(
            {
                "allowed_roles": list(self.allowed_roles),
                "environment": self.environment,
                "exempt": list(self.exempt),
                "schemas": list(self.schemas),
                "seed_roles": list(self.seed_roles),
            },
            sort_keys=True,
            ensure_ascii=False,
        )


def parse(params: Mapping[str, Any]) -> GuardSpec:
    """The specification that these parameters of the module describe.

    :raises DbopsError: with the parameter that is wrong.
    """
    names = {
        key: tuple(sorted(set(params[key]))) for key in ("schemas", "exempt", "seed_roles", "allowed_roles", "callers")
    }
    spec = GuardSpec(present=params["state"] == "present", environment=params["environment"] or "", **names)
    if not spec.schemas:
        raise DbopsError("schemas is empty", "Name the schemas whose tables are to be guarded.")
    for schema in spec.schemas:
        if schema in SYSTEM or schema.startswith("pg_"):
            raise DbopsError(f"Schema {schema} is not one of an application", "Name those that hold its tables.")
    for table in spec.exempt:
        if table.partition(".")[0] not in spec.schemas or not table.partition(".")[2]:
            raise DbopsError(f"exempt: {table!r} is in none of the schemas", "Write schema.table.")
    both = sorted(set(spec.seed_roles) & set(spec.allowed_roles))
    if both:
        raise DbopsError(f"Role {both[0]} is in seed_roles and in allowed_roles", "Decide.")
    if not re.fullmatch(r"[A-Za-z0-9_.-]*", spec.environment):
        raise DbopsError(f"environment {spec.environment!r} is not one word", "Write it as prod, stage or dev.")
    return spec


def environment_of(cluster_name: str, declared: str = "") -> str:
    """What a server says it is, by the part of cluster_name after the ``@``, else what was declared for it."""
    return (cluster_name.rpartition("@")[2] if "@" in cluster_name else "") or declared


def words(database: str) -> str:
    """What a session of an allowed role sets ``dbops.allow_reset`` to."""
    return f"reset the production database {database}"
