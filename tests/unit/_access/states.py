# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small live states to plan against."""

from __future__ import annotations

from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._access.plan_database import new_database_acl
from ansible_collections.dbops.postgres.plugins.module_utils._access.spec import ROLE_FLAGS
from ansible_collections.dbops.postgres.plugins.module_utils._access.state import (
    AccessState,
    Acl,
    AclItem,
    DatabaseState,
    Membership,
    Role,
    SchemaState,
    Thing,
)
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Capabilities


def role(name: str, *, superuser: bool = False, inherit: bool = True, **more: Any) -> Role:
    """A role without any attribute."""
    flags = {**dict.fromkeys(ROLE_FLAGS, False), "inherit": inherit, **more.pop("flags", {})}
    return Role(name, superuser, flags, -1, None, more.pop("settings", {}), **more)


def acl(owner: str, *items: str) -> Acl:
    """``acl("own", "app=SELECT", "ro=SELECT*/app")``: grantee, privilege, grant option, grantor if not the owner."""
    found = set()
    for item in items:
        grantee, _equals, rest = item.partition("=")
        word, _slash, grantor = rest.partition("/")
        found.add(AclItem(grantee, grantor or owner, word.rstrip("*"), word.endswith("*")))
    return frozenset(found)


def schema(name: str = "public", owner: str = "own", **objects: dict[str, Acl]) -> SchemaState:
    """A schema with objects of ``own``."""
    return SchemaState(
        name,
        owner,
        acl(owner, f"{owner}=USAGE", f"{owner}=CREATE"),
        objects={kind: {key: Thing(owner, value) for key, value in found.items()} for kind, found in objects.items()},
    )


def state(
    *roles: Role,
    user: str = "postgres",
    superuser: bool = True,
    version: int = 170000,
    pg_authid: bool = True,
    memberships: tuple[Membership, ...] = (),
    schemas: tuple[SchemaState, ...] = (),
    **more: Any,
) -> AccessState:
    """A server with the database ``shop`` of ``own``."""
    known = {item.name: item for item in (role("postgres", superuser=True), role("own"), *roles)}
    shop = DatabaseState("shop", "own", new_database_acl("own"), schemas={s.name: s for s in schemas}, defaults={})
    return AccessState(
        capabilities=Capabilities(version, user, superuser, False, pg_authid, False),
        roles=known,
        memberships=memberships,
        databases={"shop": shop},
        **more,
    )
