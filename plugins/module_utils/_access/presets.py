# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From services of an environment to the roles and databases that ``pg_access`` understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._access.spec import Problems, nearest

_SERVICE_KEYS = ("name", "database", "environments", "schemas", "delete", "readonly", "connection_limits", "rotating")
_READER_KEYS = ("role", "except")
_LIMITS = {"app": 20, "migrator": 4, "ro": 5}
_LISTS = (
    *("connect", "temporary", "create", "usage", "creators"),
    *("tables", "sequences", "functions", "types"),
)


@dataclass(frozen=True)
class Settings:
    """Settings of the logins of every service, by the kind of login."""

    app: Mapping[str, Any] = field(default_factory=dict)
    migrator: Mapping[str, Any] = field(default_factory=dict)
    ro: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Reader:
    role: str
    excluded: tuple[str, ...] = ()


def expand(
    services: Sequence[Mapping[str, Any]],
    *,
    environment: str,
    passwords: Mapping[str, str],
    settings: Settings,
    roles: Sequence[Mapping[str, Any]] = (),
    databases: Sequence[Mapping[str, Any]] = (),
    purge: bool = True,
    closed: Sequence[str] = (),
) -> dict[str, list[dict[str, Any]]]:
    """The options ``roles`` and ``databases`` of ``pg_access``.

    :param services: as ``access_services`` of the role ``access`` documents them.
    :param environment: of the host; services without it are left out.
    :param passwords: by role. Those of ``_app`` and ``_migrator`` roles must be there.
    :param roles: further roles; one without a password takes it from ``passwords``.
    :param databases: further databases; one that a service has too is merged with it, lists joined.
    :param closed: databases that nobody is given access to, unless they are declared as well; without services, none.
    :raises DbopsError: naming every service, role or key that is wrong. No password is repeated.
    """
    problems = Problems()
    if services and not environment:
        problems.add("access_services needs access_environment, the environment of this host")
    if services and not purge:
        problems.add("access_services needs access_purge: true; without it PUBLIC could still connect everywhere")
    made_roles: list[dict[str, Any]] = []
    made_databases: list[dict[str, Any]] = []
    extra = [str(role.get("name")) for role in roles]
    for service in services:
        if not _checked(service, problems) or environment not in (service.get("environments") or [environment]):
            continue
        prefix = f"{service['name']}_{environment}"
        readers = _readers(service, extra, problems)
        made_roles += _roles(service, prefix, passwords, settings, problems)
        made_databases.append(_database(service, prefix, readers))
    known = {role["name"] for role in made_roles}
    for name in extra:
        if name in known:
            problems.add(f"access_roles declares {name!r}, which is a role of a service")
    problems.raise_if_any()
    given = [
        {**role, "password": passwords[role["name"]]}
        if role.get("password") is None and role.get("name") in passwords and role.get("state") != "absent"
        else dict(role)
        for role in roles
    ]
    merged = _merged(made_databases, databases)
    declared = {database.get("name") for database in merged}
    shut = [{"name": name, "connect": []} for name in closed if services and name not in declared]
    return {"roles": [*made_roles, *given], "databases": [*merged, *shut]}


def _checked(service: Mapping[str, Any], problems: Problems) -> bool:
    place = f"access_services: service {service.get('name')!r}"
    before = len(problems.found)
    for key in service:
        if key not in _SERVICE_KEYS:
            problems.add(f"{place} has an unknown key {key!r}{nearest(str(key), _SERVICE_KEYS)}")
    for key in ("name", "database"):
        if not service.get(key):
            problems.add(f"{place} has no {key}")
    for key in service.get("connection_limits") or {}:
        if key not in _LIMITS:
            problems.add(f"{place} has an unknown connection limit {key!r}{nearest(str(key), _LIMITS)}")
    return len(problems.found) == before


def _readers(service: Mapping[str, Any], known: Sequence[str], problems: Problems) -> list[_Reader]:
    readers = []
    for raw in service.get("readonly") or []:
        given = {"role": raw} if isinstance(raw, str) else raw
        place = f"readonly of service {service['name']!r}"
        if not isinstance(given, Mapping) or not given.get("role"):
            problems.add(f"{place} must be names of roles or dictionaries with role and except, not {raw!r}")
            continue
        for key in given:
            if key not in _READER_KEYS:
                problems.add(f"{place} has an unknown key {key!r}{nearest(str(key), _READER_KEYS)}")
        if given["role"] not in known:
            problems.add(
                f"{place} names {given['role']!r}, which access_roles does not declare{nearest(given['role'], known)}"
            )
        readers.append(_Reader(given["role"], tuple(given.get("except") or ())))
    return readers


def _roles(
    service: Mapping[str, Any], prefix: str, passwords: Mapping[str, str], settings: Settings, problems: Problems
) -> list[dict[str, Any]]:
    limits = {**_LIMITS, **{k: v for k, v in (service.get("connection_limits") or {}).items() if v is not None}}
    made: list[dict[str, Any]] = [{"name": f"{prefix}_owner", "login": False}]
    for kind, own in (("migrator", settings.migrator), ("app", settings.app), ("ro", settings.ro)):
        name = f"{prefix}_{kind}"
        if kind == "app" and service.get("rotating"):
            if name in passwords:
                problems.add(f"access_passwords has a password for {name!r}, whose logins rotate: leave it out")
            made += _rotating(name, limits[kind], own)
        elif name in passwords:
            made.append(
                {
                    "name": name,
                    "login": True,
                    "password": passwords[name],
                    "connection_limit": limits[kind],
                    "settings": dict(own),
                }
            )
        elif kind == "ro":
            made.append({"name": name, "login": False})
        else:
            problems.add(f"access_passwords has no password for {name!r}{nearest(name, passwords)}")
    for role in made:
        # A role of a service is nobody else's member and has no attribute beyond these.
        role.update(
            member_of=role.get("member_of", []), createdb=False, createrole=False, replication=False, bypassrls=False
        )
    return made


def _rotating(name: str, limit: int, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A role that has the rights, and two logins that take turns. Which of them may log in is left to the rotation."""
    logins = [
        {"name": f"{name}_{turn}", "member_of": [name], "connection_limit": limit, "settings": dict(settings)}
        for turn in ("a", "b")
    ]
    return [{"name": name, "login": False}, *logins]


def _database(service: Mapping[str, Any], prefix: str, readers: Sequence[_Reader]) -> dict[str, Any]:
    owner, migrator, app, reader = (f"{prefix}_{kind}" for kind in ("owner", "migrator", "app", "ro"))
    reading = [reader, *(extra.role for extra in readers)]
    words = ["SELECT", "INSERT", "UPDATE", *(["DELETE"] if service.get("delete") else [])]
    tables: list[dict[str, Any]] = [
        {"privileges": words, "roles": [app]},
        {"privileges": ["SELECT"], "roles": [reader, *(extra.role for extra in readers if not extra.excluded)]},
    ]
    tables += [
        {"privileges": ["SELECT"], "roles": [extra.role], "except": list(extra.excluded)}
        for extra in readers
        if extra.excluded
    ]
    return {
        "name": service["database"],
        "owner": owner,
        "connect": [app, migrator, *reading],
        "schemas": [
            {
                "name": schema,
                "owner": owner,
                "usage": [app, migrator, *reading],
                "create": [migrator],
                "creators": [migrator],
                "tables": tables,
                "sequences": [{"privileges": ["USAGE", "SELECT"], "roles": [app]}],
                "functions": [{"privileges": ["EXECUTE"], "roles": [app]}],
                "types": [{"privileges": ["USAGE"], "roles": [app]}],
            }
            for schema in service.get("schemas") or ["public"]
        ],
    }


def _merged(made: Sequence[dict[str, Any]], further: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = {database["name"]: dict(database) for database in made}
    rest = []
    for database in further:
        own = found.get(str(database.get("name")))
        if own is None:
            rest.append(dict(database))
            continue
        schemas = {schema["name"]: dict(schema) for schema in own["schemas"]}
        for schema in database.get("schemas") or []:
            name = str(schema.get("name"))
            schemas[name] = _joined(schemas[name], schema) if name in schemas else dict(schema)
        found[own["name"]] = {**_joined(own, database), "schemas": list(schemas.values())}
    return [*found.values(), *rest]


def _joined(own: Mapping[str, Any], further: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(own)
    for key, value in further.items():
        if key in _LISTS:
            joined[key] = [*(own.get(key) or []), *(item for item in value or [] if item not in (own.get(key) or []))]
        else:
            joined[key] = value
    return joined
