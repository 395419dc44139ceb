# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``rls`` of a spec file: who the identities are, and which rows are theirs. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._environment import is_production
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError, Where, only

COMMANDS = ("SELECT", "INSERT", "UPDATE", "DELETE")
WRITES = ("insert", "update", "delete")
EVERY = "*"

# What has to be said, word for word, before foreign rows are touched (and rolled back) on a production server.
PRODUCTION_WORDS = "try the policies on the production server"

_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)+|TimeZone|DateStyle|search_path")


@dataclass(frozen=True)
class Identity:
    """Somebody who asks: a role and the settings that the application makes for it.

    :param settings: name and value, as ``set_config`` takes them.
    :param sees: table or ``*`` -> the rows that it may see, as a condition.
    :param writes: table or ``*`` -> command -> the rows that it may write; a command that is not there: those it sees.
    :param nobody: the same role without the settings; not declared, always tried.
    """

    name: str
    role: str
    settings: tuple[tuple[str, str], ...] = ()
    sees: Mapping[str, str] = field(default_factory=dict)
    writes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    nobody: bool = False

    def predicate(self, command: str, names: Sequence[str], everywhere: bool) -> str | None:
        """The rows of a table that this identity may reach with a command; None: nothing is declared.

        :param names: what the table may be called, the most exact first; those of the table that it is a part of last.
        :param everywhere: whether the table has the tenant column: only then a condition of ``*`` can be asked of it.
        """
        for place in (*names, EVERY):
            found = self.writes.get(place, {}).get(command.lower())
            if found is not None and (place != EVERY or everywhere or constant(found) is not None):
                return found
        for place in (*names, EVERY):
            found = self.sees.get(place)
            if found is not None and (place != EVERY or everywhere or constant(found) is not None):
                return found
        return None

    def declares(self, command: str, names: Sequence[str], everywhere: bool) -> bool:
        """Whether it is declared that this identity writes this table, so that it must be able to."""
        return any(command.lower() in self.writes.get(name, {}) for name in (*names, *([EVERY] if everywhere else [])))


@dataclass(frozen=True)
class Accepted:
    """Something that rules find and that is meant so. ``rules`` empty: all of them."""

    name: str
    reason: str
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class RlsSpec:
    """The whole section.

    :param tenant_column: the column that says whose row it is; empty: there is none that all tables share.
    :param tables: the tables that must be protected; empty: those with the tenant column, and those with policies.
    :param application_roles: roles as which applications connect or act; empty: found by what they may do.
    :param bypass: roles that may pass by all policies, with the reason.
    """

    tenant_column: str = ""
    tables: tuple[str, ...] = ()
    exempt: tuple[Accepted, ...] = ()
    identities: tuple[Identity, ...] = ()
    application_roles: tuple[str, ...] = ()
    bypass: tuple[Accepted, ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        """The tables of which is said what identities see or write."""
        found = (place for i in self.identities for place in (*i.sees, *i.writes) if place != EVERY)
        return tuple(dict.fromkeys(found))

    def open_to_all(self, names: Sequence[str]) -> bool:
        """Whether it is declared that every identity sees a whole table."""
        return bool(self.identities) and all(
            constant(identity.predicate("SELECT", names, False) or "") is True for identity in self.identities
        )

    @property
    def whole_exempt(self) -> frozenset[str]:
        """Names of tables that nothing is asked of."""
        return frozenset(item.name for item in self.exempt if not item.rules)


def constant(predicate: str) -> bool | None:
    """The value of a condition that is the same for every row; None: it is not."""
    return {"true": True, "false": False}.get(predicate.strip().lower())


def parse(section: Mapping[str, Any]) -> RlsSpec:
    """The section as a specification.

    :raises SpecError: with the place of what is wrong.
    """
    only(section, ("tenant_column", "tables", "exempt", "identities", "application_roles", "bypass"), ("rls",))
    tables = section.get("tables", "auto")
    identities = tuple(
        _identity(item, ("rls", "identities", index))
        for index, item in enumerate(_list(section.get("identities"), ("rls", "identities")))
    )
    seen: set[str] = set()
    for index, identity in enumerate(identities):
        if identity.name in seen:
            raise SpecError(("rls", "identities", index, "name"), f"there are two identities {identity.name!r}.")
        seen.add(identity.name)
    return RlsSpec(
        tenant_column=_text(section.get("tenant_column", ""), ("rls", "tenant_column"), empty=True),
        tables=() if tables == "auto" else _names(tables, ("rls", "tables")),
        exempt=_accepted(section, "exempt", "table", rules=True),
        identities=identities,
        application_roles=_names(section.get("application_roles"), ("rls", "application_roles")),
        bypass=_accepted(section, "bypass", "role", rules=False),
    )


def allow(environment: str, said: str, *, mutate: bool, database: str, throwaway: str) -> str | None:
    """Why the dynamic part must not run here; None: it may.

    :param environment: what the server says it is.
    :param said: the words of ``i_know_this_is_production``.
    :raises DbopsError: policies shall be mutated, and this database is not declared to be a throwaway one.
    """
    production = is_production(environment)
    if mutate:
        if production:
            raise DbopsError(
                f"The server says that it is {environment!r}; mutate is never for production",
                "Mutate the policies of a migrated throwaway database.",
            )
        if throwaway != database:
            raise DbopsError(
                f"mutate changes policies (and rolls that back), and {database!r} is not declared to be a throwaway"
                f" database: throwaway_database is {throwaway!r}",
                f"If nobody else uses it, say throwaway_database: {database}.",
            )
    if said and said != PRODUCTION_WORDS:
        raise DbopsError(
            f"i_know_this_is_production is {said!r}, which are not the words that are asked for",
            f"Say i_know_this_is_production: {PRODUCTION_WORDS!r}, or leave it out.",
        )
    if production and not said:
        return (
            f"the server says that it is {environment!r}: statements on foreign rows are not tried here, although"
            f" they are rolled back. Say i_know_this_is_production: {PRODUCTION_WORDS!r}, or try a copy"
        )
    return None


def nobodies(identities: Sequence[Identity]) -> tuple[Identity, ...]:
    """For each role that needs settings to be somebody: the role without them, and with what RESET leaves, ''.

    A setting of one's own becomes the empty string, and not unknown again, when a transaction that made it ends: so
    does every further transaction on a pooled connection begin (PostgreSQL manual, 20.16).
    """
    found = []
    for role in dict.fromkeys(identity.role for identity in identities):
        mine = [identity for identity in identities if identity.role == role]
        if any(not identity.settings for identity in mine):
            continue
        names = sorted({name for identity in mine for name, _value in identity.settings})
        # What all of them see, nobody may see, too: a table of currencies.
        common = {
            place: "true"
            for place in mine[0].sees
            if all(identity.sees.get(place, "").strip().lower() == "true" for identity in mine)
        }
        sees = {EVERY: "false", **dict.fromkeys((p for i in mine for p in i.sees), "false"), **common}
        empty = tuple((name, "") for name in names)
        writes = {place: dict.fromkeys(WRITES, "false") for place in sees}
        found.append(Identity(f"nobody ({role})", role, (), sees, writes, nobody=True))
        found.append(Identity(f"nobody ({role}, settings empty)", role, empty, sees, writes, nobody=True))
    return tuple(found)


def everybody(spec: RlsSpec) -> tuple[Identity, ...]:
    """Nobody without settings first, while the connection has had none; then the declared identities; at last nobody
    with what they have left behind."""
    nobody = nobodies(spec.identities)
    return (
        *(identity for identity in nobody if not identity.settings),
        *spec.identities,
        *(identity for identity in nobody if identity.settings),
    )


def _identity(item: Any, where: Where) -> Identity:
    data = _mapping(item, where)
    only(data, ("name", "role", "settings", "sees", "writes"), where)
    settings = []
    for name, value in _mapping(data.get("settings") or {}, (*where, "settings")).items():
        if not _SETTING.fullmatch(str(name)):
            raise SpecError((*where, "settings", name), f"{name!r} is no name of a setting, such as app.tenant_id.")
        settings.append((str(name), _setting(value, (*where, "settings", name))))
    sees = {
        str(place): _predicate(value, (*where, "sees", place))
        for place, value in _mapping(data.get("sees") or {}, (*where, "sees")).items()
    }
    if not sees:
        raise SpecError(
            (*where, "sees"),
            "it is not said which rows this identity sees.",
            "Give a condition for each table or for '*', for example {'*': \"practice_id = '...'\"}; false for none.",
        )
    writes: dict[str, Mapping[str, str]] = {}
    for place, value in _mapping(data.get("writes") or {}, (*where, "writes")).items():
        here: Where = (*where, "writes", place)
        if isinstance(value, Mapping):
            only(value, WRITES, here)
            writes[str(place)] = {str(k): _predicate(v, (*here, k)) for k, v in value.items()}
        else:
            writes[str(place)] = dict.fromkeys(WRITES, _predicate(value, here))
    return Identity(
        name=_text(data.get("name"), (*where, "name")),
        role=_text(data.get("role"), (*where, "role")),
        settings=tuple(settings),
        sees=sees,
        writes=writes,
    )


def _setting(value: Any, where: Where) -> str:
    if isinstance(value, (Mapping, list)):
        return json.dumps(value)  # the claims of a token
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise SpecError(where, f"{value!r} is no value of a setting.")


def _predicate(value: Any, where: Where) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = _text(value, where)
    if re.search(r";|--|/\*", text):
        raise SpecError(where, "a condition is one expression, without ';' and comments.")
    return text


def _accepted(section: Mapping[str, Any], key: str, name: str, *, rules: bool) -> tuple[Accepted, ...]:
    found = []
    for index, item in enumerate(_list(section.get(key), ("rls", key))):
        where: Where = ("rls", key, index)
        data = _mapping(item, where)
        only(data, (name, "reason", *(["rules"] if rules else [])), where)
        found.append(
            Accepted(
                _text(data.get(name), (*where, name)),
                _text(data.get("reason"), (*where, "reason")),
                _names(data.get("rules"), (*where, "rules")),
            )
        )
    return tuple(found)


def _mapping(value: Any, where: Where) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SpecError(where, f"this must be a mapping, not {value!r}.")
    return value


def _list(value: Any, where: Where) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise SpecError(where, f"this must be a list, not {value!r}.")
    return value


def _names(value: Any, where: Where) -> tuple[str, ...]:
    return tuple(_text(item, (*where, index)) for index, item in enumerate(_list(value, where)))


def _text(value: Any, where: Where, *, empty: bool = False) -> str:
    if isinstance(value, str) and (value.strip() or empty):
        return value
    raise SpecError(where, "it is missing." if value is None else f"{value!r} is no text.")
