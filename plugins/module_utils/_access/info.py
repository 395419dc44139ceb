# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``pg_access_info`` returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._access import observe as reader
from ansible_collections.dbops.postgres.plugins.module_utils._access.effective import effective
from ansible_collections.dbops.postgres.plugins.module_utils._access.spec import nearest
from ansible_collections.dbops.postgres.plugins.module_utils._access.state import AccessState
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login


def gather(login: Login, databases: Sequence[str], roles: Sequence[str]) -> dict[str, Any]:
    """The effective access of the databases, as the module documents it.

    :raises DbopsError: a database or a role is not there.
    """
    scope = reader.Scope(databases=dict.fromkeys(databases)) if databases else None
    state = reader.observe(login, scope)
    for what, asked, known in (("database", databases, state.databases), ("role", roles, state.roles)):
        for name in asked:
            if name not in known:
                raise DbopsError(f"There is no {what} {name!r}{nearest(name, known)}")
    return {
        "access": [
            {**asdict(row), "objects": list(row.objects), "privileges": list(row.privileges)}
            for row in effective(state, roles or None)
        ],
        "roles": _roles(state),
        "owners": {name: database.owner for name, database in state.databases.items() if database.schemas is not None},
        "objects": _counts(state),
        "capabilities": asdict(state.capabilities),
    }


def _roles(state: AccessState) -> list[dict[str, Any]]:
    groups: dict[str, set[str]] = {}
    for membership in state.memberships:
        groups.setdefault(membership.member, set()).add(membership.role)
    return [
        {
            "name": role.name,
            "superuser": role.superuser,
            "login": role.flags["login"],
            "connection_limit": role.connection_limit,
            "valid_until": role.valid_until,
            "member_of": sorted(groups.get(role.name, ())),
        }
        for role in state.roles.values()
        if not role.name.startswith("pg_")
    ]


def _counts(state: AccessState) -> dict[str, dict[str, dict[str, int]]]:
    return {
        name: {
            schema.name: {kind: len(objects) for kind, objects in sorted(schema.objects.items())}
            for schema in database.schemas.values()
        }
        for name, database in state.databases.items()
        if database.schemas is not None
    }
