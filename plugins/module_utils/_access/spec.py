# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The declared access: parameters into frozen dataclasses, and every error that can be found without a server.

``None`` means "left out, not managed" for attributes of roles, owners and limits. Lists of grantees and entries have
no such state: left out is empty, because ``purge`` makes a declared database or schema exact.
"""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._secrets import is_verifier

# PUBLIC as a grantee. A role cannot have an empty name, but one may really be called "PUBLIC" when quoted.
PUBLIC = ""

# Privileges by kind of object (PostgreSQL manual, 5.8, table "Summary of Access Privileges").
PRIVILEGES: dict[str, tuple[str, ...]] = {
    "database": ("CONNECT", "CREATE", "TEMPORARY"),
    "schema": ("CREATE", "USAGE"),
    "table": ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"),
    "column": ("SELECT", "INSERT", "UPDATE", "REFERENCES"),
    "sequence": ("USAGE", "SELECT", "UPDATE"),
    "function": ("EXECUTE",),
    "type": ("USAGE",),
}
MAINTAIN_SINCE = 170000
KINDS = ("table", "sequence", "function", "type")
NAME_BYTES = 63  # NAMEDATALEN - 1

# Attribute of a role -> the word of CREATE ROLE; the opposite is the same word after NO.
ROLE_FLAGS: dict[str, str] = {
    "login": "LOGIN",
    "inherit": "INHERIT",
    "createdb": "CREATEDB",
    "createrole": "CREATEROLE",
    "replication": "REPLICATION",
    "bypassrls": "BYPASSRLS",
}
# Settings that hold a list of names, which the server stores quoted (guc_tables.c: GUC_LIST_QUOTE).
LIST_SETTINGS = (
    "search_path",
    "temp_tablespaces",
    "session_preload_libraries",
    "local_preload_libraries",
)

_ROLE_KEYS = (
    *("name", "state", "password", "connection_limit", "valid_until", "settings", "member_of", "reassign_to"),
    *ROLE_FLAGS,
)
_MEMBER_KEYS = ("role", "admin", "inherit", "set")
_DATABASE_KEYS = ("name", "owner", "connection_limit", "connect", "temporary", "create", "schemas")
_SCHEMA_KEYS = ("name", "owner", "usage", "create", "tables", "sequences", "functions", "types", "creators")
_ENTRY_KEYS = {
    "table": ("privileges", "roles", "objects", "columns", "except"),
    "sequence": ("privileges", "roles", "objects", "except"),
    "function": ("privileges", "roles", "objects", "except"),
    "type": ("privileges", "roles", "objects", "except"),
}


@dataclass(frozen=True)
class MemberSpec:
    """A membership that a role has. None: that option is not managed."""

    role: str
    admin: bool | None = None
    inherit: bool | None = None
    set: bool | None = None


@dataclass(frozen=True)
class RoleSpec:
    """One role. ``flags`` holds the declared ones of :data:`ROLE_FLAGS` only; a setting of None is to be reset."""

    name: str
    present: bool = True
    flags: Mapping[str, bool] = field(default_factory=dict)
    password: str | None = field(default=None, repr=False)
    connection_limit: int | None = None
    valid_until: str | None = None
    settings: Mapping[str, str | None] | None = None
    member_of: tuple[MemberSpec, ...] | None = None
    reassign_to: str | None = None


@dataclass(frozen=True)
class Entry:
    """Privileges of some roles on the objects of one kind in one schema.

    :param objects: the objects that are meant; empty for all there are and will be, less ``excluded``.
    :param columns: for tables, the columns that are meant; empty for the whole table.
    """

    privileges: tuple[str, ...]
    roles: tuple[str, ...]
    objects: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True)
class SchemaSpec:
    """One schema. ``entries`` has a key for each of :data:`KINDS`."""

    name: str
    owner: str | None = None
    usage: tuple[str, ...] = ()
    create: tuple[str, ...] = ()
    creators: tuple[str, ...] = ()
    entries: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class DatabaseSpec:
    """One database."""

    name: str
    owner: str | None = None
    connection_limit: int | None = None
    connect: tuple[str, ...] = ()
    temporary: tuple[str, ...] = ()
    create: tuple[str, ...] = ()
    schemas: tuple[SchemaSpec, ...] = ()


@dataclass(frozen=True)
class AccessSpec:
    """Everything that is declared for one server."""

    roles: tuple[RoleSpec, ...] = ()
    databases: tuple[DatabaseSpec, ...] = ()
    purge: bool = False
    ignore_roles: tuple[str, ...] = ()
    unguarded_roles: tuple[str, ...] = ()
    skip_unknown_objects: bool = False
    update_password: str = "changed"

    def ignores(self, role: str) -> bool:
        """Whether what this role holds is left as it is."""
        name = shown_role(role)
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.ignore_roles)


class Problems:
    """Collects everything that is wrong with an input, so that its author sees it all at once."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, text: str) -> None:
        """Note one problem, once."""
        if text not in self.found:
            self.found.append(text)

    def raise_if_any(self) -> None:
        """:raises DbopsError: naming every problem that was noted."""
        if not self.found:
            return
        if len(self.found) == 1:
            raise DbopsError(self.found[0])
        listed = "; ".join(f"({number}) {text}" for number, text in enumerate(self.found, 1))
        raise DbopsError(f"{len(self.found)} problems: {listed}")


def nearest(name: str, candidates: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` when a candidate is near, otherwise nothing."""
    close = difflib.get_close_matches(name, sorted(candidates), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def shown_role(role: str) -> str:
    """A grantee as a person writes it."""
    return role or "PUBLIC"


def all_privileges(kind: str, server_version: int) -> tuple[str, ...]:
    """What ALL means for this kind of object on this version."""
    return tuple(word for word in PRIVILEGES[kind] if word != "MAINTAIN" or server_version >= MAINTAIN_SINCE)


def parse(params: Mapping[str, Any]) -> AccessSpec:
    """The parameters of ``pg_access`` as an :class:`AccessSpec`.

    :param params: ``roles``, ``databases``, ``purge``, ``ignore_roles``, ``unguarded_roles``, ``unknown_objects`` and
        ``update_password`` as the module documents them; a key that is missing or None is left out.
    :raises DbopsError: naming everything that is wrong in itself: unknown keys, privileges that do not fit, the
        same object twice, combinations without meaning, memberships in a circle.
    """
    parser = _Parser()
    spec = AccessSpec(
        roles=tuple(parser.role(raw, f"roles[{index}]") for index, raw in enumerate(params.get("roles") or [])),
        databases=tuple(
            parser.database(raw, f"databases[{index}]") for index, raw in enumerate(params.get("databases") or [])
        ),
        purge=bool(params.get("purge")),
        ignore_roles=tuple(params.get("ignore_roles") or ()),
        unguarded_roles=tuple(params.get("unguarded_roles") or ()),
        skip_unknown_objects=params.get("unknown_objects") == "skip",
        update_password=params.get("update_password") or "changed",
    )
    parser.twice("role", [role.name for role in spec.roles])
    parser.twice("database", [database.name for database in spec.databases])
    _absent_but_used(spec, parser.problems)
    cycle = find_cycle((role.name, member.role) for role in spec.roles for member in role.member_of or ())
    if cycle:
        parser.problems.add(f"The memberships form a circle: {' -> '.join(cycle)}")
    parser.problems.raise_if_any()
    return spec


def find_cycle(edges: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """One circle in a directed graph as a path that ends where it begins; empty if there is none."""
    following: dict[str, list[str]] = {}
    for start, end in edges:
        following.setdefault(start, []).append(end)
    done: set[str] = set()
    for root in sorted(following):
        if root in done:
            continue
        path: list[str] = [root]
        pending = [iter(following[root])]
        while pending:
            step = next(pending[-1], None)
            if step is None:
                pending.pop()
                done.add(path.pop())
            elif step in path:
                return (*path[path.index(step) :], step)
            elif step not in done:
                path.append(step)
                pending.append(iter(following.get(step, ())))
    return ()


def _absent_but_used(spec: AccessSpec, problems: Problems) -> None:
    absent = {role.name for role in spec.roles if not role.present}
    for role, place in referenced_roles(spec):
        if role in absent:
            problems.add(f"{place} names role {role!r}, which is declared absent")


def referenced_roles(spec: AccessSpec) -> Iterable[tuple[str, str]]:
    """Every role that the spec refers to, with the place that does, for messages."""
    for role in spec.roles:
        for member in role.member_of or ():
            yield member.role, f"member_of of role {role.name!r}"
        if role.reassign_to is not None:
            yield role.reassign_to, f"reassign_to of role {role.name!r}"
    for database in spec.databases:
        place = f"database {database.name!r}"
        if database.owner is not None:
            yield database.owner, f"owner of {place}"
        for key in ("connect", "temporary", "create"):
            for name in getattr(database, key):
                yield name, f"{key} of {place}"
        for schema in database.schemas:
            place = f"schema {database.name}.{schema.name}"
            if schema.owner is not None:
                yield schema.owner, f"owner of {place}"
            for key in ("usage", "create", "creators"):
                for name in getattr(schema, key):
                    yield name, f"{key} of {place}"
            for kind in KINDS:
                for entry in schema.entries.get(kind, ()):
                    for name in entry.roles:
                        yield name, f"{kind}s of {place}"


class _Parser:
    """Turns raw dictionaries into the dataclasses above and notes what is wrong, place by place."""

    def __init__(self) -> None:
        self.problems = Problems()

    def twice(self, what: str, names: Sequence[str], place: str = "") -> None:
        seen: set[str] = set()
        for name in names:
            if name in seen:
                self.problems.add(f"{what} {shown_role(name)!r} is declared twice{place}")
            seen.add(name)

    def mapping(self, raw: Any, keys: Sequence[str], place: str) -> Mapping[str, Any]:
        if not isinstance(raw, Mapping):
            self.problems.add(f"{place} must be a dictionary, not {raw!r}")
            return {}
        for key in raw:
            if key not in keys:
                self.problems.add(f"{place} has an unknown key {key!r}{nearest(str(key), keys)}")
        return raw

    def name(self, value: Any, place: str) -> str:
        if not isinstance(value, str) or not value or "\0" in value:
            self.problems.add(f"{place} must be a name, not {value!r}")
            return ""
        if len(value.encode("utf-8")) > NAME_BYTES:
            self.problems.add(f"{place}: {value!r} is longer than {NAME_BYTES} bytes, PostgreSQL would cut it")
        return value

    def optional_name(self, value: Any, place: str) -> str | None:
        return None if value is None else self.grantable_role(value, place, public=False)

    def grantable_role(self, value: Any, place: str, *, public: bool) -> str:
        name = self.name(value, place)
        if name.upper() == "PUBLIC":
            if not public:
                self.problems.add(f"{place} must be a role; PUBLIC is none")
            elif name != "PUBLIC":
                self.problems.add(f"{place}: write 'PUBLIC', not {name!r}")
            return PUBLIC
        return name

    def listed(self, raw: Any, place: str) -> list[Any]:
        if raw is None:
            return []
        if isinstance(raw, (list, tuple)):
            return list(raw)
        self.problems.add(f"{place} must be a list, not {raw!r}")
        return []

    def names(self, raw: Any, place: str) -> tuple[str, ...]:
        found = tuple(self.name(value, place) for value in self.listed(raw, place))
        self.twice("name", found, f" in {place}")
        return found

    def grantees(self, raw: Any, place: str, *, public: bool = True) -> tuple[str, ...]:
        found = tuple(self.grantable_role(value, place, public=public) for value in self.listed(raw, place))
        self.twice("role", found, f" in {place}")
        return found

    def flag(self, value: Any, place: str) -> bool | None:
        if value is not None and not isinstance(value, bool):
            self.problems.add(f"{place} must be true or false, not {value!r}")
            return None
        return value

    def limit(self, value: Any, place: str) -> int | None:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < -1):
            self.problems.add(f"{place} must be -1 (no limit) or a number of connections, not {value!r}")
            return None
        return value

    def role(self, raw: Any, place: str) -> RoleSpec:
        given = self.mapping(raw, _ROLE_KEYS, place)
        name = self.name(given.get("name"), f"{place}.name")
        place = f"role {name!r}" if name else place
        if name.upper() == "PUBLIC" or name.lower().startswith("pg_"):
            self.problems.add(f"{place} is reserved by PostgreSQL and cannot be declared")
        state = given.get("state") or "present"
        if state not in ("present", "absent"):
            self.problems.add(f"state of {place} must be present or absent, not {state!r}")
        if state == "absent":
            for key in _ROLE_KEYS:
                if key not in ("name", "state", "reassign_to") and given.get(key) is not None:
                    self.problems.add(f"{place} is declared absent and cannot have {key}")
        elif given.get("reassign_to") is not None:
            self.problems.add(f"reassign_to of {place} needs state: absent")
        return RoleSpec(
            name=name,
            present=state != "absent",
            flags={
                key: value
                for key in ROLE_FLAGS
                for value in [self.flag(given.get(key), f"{key} of {place}")]
                if value is not None
            },
            password=self.password(given.get("password"), place),
            connection_limit=self.limit(given.get("connection_limit"), f"connection_limit of {place}"),
            valid_until=self.moment(given.get("valid_until"), f"valid_until of {place}"),
            settings=self.settings(given.get("settings"), f"settings of {place}"),
            member_of=self.memberships(given.get("member_of"), name),
            reassign_to=self.optional_name(given.get("reassign_to"), f"reassign_to of {place}"),
        )

    def password(self, value: Any, place: str) -> str | None:
        # No message here repeats the value.
        if value is None:
            return None
        if not isinstance(value, str):
            self.problems.add(f"password of {place} must be a string")
            return None
        if value == "":
            self.problems.add(f"password of {place} is empty; leave it out to leave it as it is")
        elif value.startswith("md5") and len(value) == 35:
            self.problems.add(f"password of {place} is an md5 hash; use a password or a SCRAM-SHA-256 verifier")
        elif value.startswith("SCRAM-SHA-256$") and not is_verifier(value):
            self.problems.add(f"password of {place} looks like a SCRAM-SHA-256 verifier but is broken")
        elif "\0" in value:
            self.problems.add(f"password of {place} has a NUL character")
        return value

    def moment(self, value: Any, place: str) -> str | None:
        """A moment as ``2027-01-31T00:00:00+00:00``, or ``infinity``."""
        if value is None:
            return None
        if value == "infinity":
            return "infinity"
        try:
            moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        except ValueError:
            self.problems.add(f"{place} must be 'infinity' or an ISO 8601 date and time, not {value!r}")
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return moment.astimezone(timezone.utc).isoformat(timespec="seconds")

    def settings(self, raw: Any, place: str) -> Mapping[str, str | None] | None:
        if raw is None:
            return None
        if not isinstance(raw, Mapping):
            self.problems.add(f"{place} must be a dictionary, not {raw!r}")
            return None
        return {str(key).lower(): self.setting(key, value, place) for key, value in raw.items()}

    def setting(self, key: Any, value: Any, place: str) -> str | None:
        if value is None:
            return None
        if isinstance(value, bool):
            return "on" if value else "off"
        if str(key).lower() in LIST_SETTINGS:
            parts = value if isinstance(value, (list, tuple)) else split_list(str(value))
            return join_list([str(part) for part in parts])
        if isinstance(value, (str, int, float)):
            return str(value)
        self.problems.add(f"{key} in {place} must be a single value, not {value!r}")
        return None

    def memberships(self, raw: Any, name: str) -> tuple[MemberSpec, ...] | None:
        if raw is None:
            return None
        place = f"member_of of role {name!r}"
        found = []
        for item in self.listed(raw, place):
            given = {"role": item} if isinstance(item, str) else self.mapping(item, _MEMBER_KEYS, place)
            found.append(
                MemberSpec(
                    self.grantable_role(given.get("role"), place, public=False),
                    *(self.flag(given.get(key), f"{key} in {place}") for key in ("admin", "inherit", "set")),
                )
            )
        self.twice("role", [member.role for member in found], f" in {place}")
        return tuple(found)

    def database(self, raw: Any, place: str) -> DatabaseSpec:
        given = self.mapping(raw, _DATABASE_KEYS, place)
        name = self.name(given.get("name"), f"{place}.name")
        place = f"database {name!r}" if name else place
        if name in ("template0", "template1"):
            self.problems.add(f"{place} is a template and cannot be declared")
        schemas = tuple(
            self.schema(item, name, f"schemas[{index}] of {place}")
            for index, item in enumerate(self.listed(given.get("schemas"), f"schemas of {place}"))
        )
        self.twice("schema", [schema.name for schema in schemas], f" in {place}")
        return DatabaseSpec(
            name=name,
            owner=self.optional_name(given.get("owner"), f"owner of {place}"),
            connection_limit=self.limit(given.get("connection_limit"), f"connection_limit of {place}"),
            connect=self.grantees(given.get("connect"), f"connect of {place}"),
            temporary=self.grantees(given.get("temporary"), f"temporary of {place}"),
            create=self.grantees(given.get("create"), f"create of {place}"),
            schemas=schemas,
        )

    def schema(self, raw: Any, database: str, place: str) -> SchemaSpec:
        given = self.mapping(raw, _SCHEMA_KEYS, place)
        name = self.name(given.get("name"), f"{place}.name")
        place = f"schema {database}.{name}" if name else place
        if name.startswith("pg_") or name == "information_schema":
            self.problems.add(f"{place} belongs to PostgreSQL and cannot be declared")
        return SchemaSpec(
            name=name,
            owner=self.optional_name(given.get("owner"), f"owner of {place}"),
            usage=self.grantees(given.get("usage"), f"usage of {place}"),
            create=self.grantees(given.get("create"), f"create of {place}"),
            creators=self.grantees(given.get("creators"), f"creators of {place}", public=False),
            entries={
                kind: tuple(
                    self.entry(item, kind, f"{kind}s[{index}] of {place}")
                    for index, item in enumerate(self.listed(given.get(f"{kind}s"), f"{kind}s of {place}"))
                )
                for kind in KINDS
            },
        )

    def entry(self, raw: Any, kind: str, place: str) -> Entry:
        given = self.mapping(raw, _ENTRY_KEYS[kind], place)
        entry = Entry(
            privileges=self.privileges(given.get("privileges"), kind, place),
            roles=self.grantees(given.get("roles"), f"roles of {place}"),
            objects=self.names(given.get("objects"), f"objects of {place}"),
            columns=self.names(given.get("columns"), f"columns of {place}"),
            excluded=self.names(given.get("except"), f"except of {place}"),
        )
        if not entry.privileges:
            self.problems.add(f"{place} names no privileges")
        if not entry.roles:
            self.problems.add(f"{place} names no roles")
        for key in ("objects", "columns", "except"):
            # An empty list here would silently mean "all".
            if given.get(key) == []:
                self.problems.add(f"{key} of {place} is empty; leave it out to mean every object")
        if entry.columns and not entry.objects:
            self.problems.add(f"columns of {place} need objects")
        if entry.objects and entry.excluded:
            self.problems.add(f"{place} has both objects and except")
        if entry.columns:
            for word in entry.privileges:
                if word != "ALL" and word not in PRIVILEGES["column"]:
                    self.problems.add(f"{place}: {word} cannot be granted on columns")
        return entry

    def privileges(self, raw: Any, kind: str, place: str) -> tuple[str, ...]:
        words = []
        for value in self.listed(raw, f"privileges of {place}"):
            word = str(value).upper()
            if word != "ALL" and word not in PRIVILEGES[kind]:
                known = (*PRIVILEGES[kind], "ALL")
                self.problems.add(
                    f"{place}: {value!r} is no privilege on a {kind}{nearest(word, known)}; "
                    f"there are {', '.join(known)}"
                )
                continue
            words.append(word)
        self.twice("privilege", words, f" in {place}")
        return tuple(words)


def split_list(text: str) -> list[str]:
    """The names in a list setting such as ``app, "$user"``, unquoted (PostgreSQL: SplitIdentifierString)."""
    parts: list[str] = []
    rest = text.strip()
    while rest:
        if rest.startswith('"'):
            end = 1
            while end < len(rest) and (rest[end] != '"' or rest[end : end + 2] == '""'):
                end += 2 if rest[end] == '"' else 1
            parts.append(rest[1:end].replace('""', '"'))
            rest = rest[end + 1 :].lstrip()
        else:
            word, _comma, _tail = rest.partition(",")
            parts.append(word.strip())
            rest = rest[len(word) :]
        rest = rest[1:].lstrip() if rest.startswith(",") else rest
    return parts


def join_list(parts: Sequence[str]) -> str:
    """The names of a list setting in one form that two lists can be compared by: every name quoted."""
    return ", ".join('"' + part.replace('"', '""') + '"' for part in parts)
