# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the plan that concerns one database: owners, schemas, grants and default privileges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ansible_collections.dbops.postgres.plugins.module_utils._access import acl, statements
from ansible_collections.dbops.postgres.plugins.module_utils._access.spec import (
    KINDS,
    PRIVILEGES,
    PUBLIC,
    AccessSpec,
    DatabaseSpec,
    Entry,
    Problems,
    SchemaSpec,
    all_privileges,
    nearest,
)
from ansible_collections.dbops.postgres.plugins.module_utils._access.state import (
    AccessState,
    Acl,
    AclItem,
    DatabaseState,
    DefaultKey,
    Pair,
    SchemaState,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import (
    Argument,
    Change,
    Ident,
    Literal,
    Sql,
    Step,
)

_NONE: frozenset[Pair] = frozenset()
_NO_COLUMNS: frozenset[tuple[str, Acl]] = frozenset()
_NO_COLUMNS_WANTED: frozenset[tuple[str, str, str]] = frozenset()

# The order within a database. On tables, columns give up grant options before the table does, and get their grants
# after it, because a REVOKE on a table reaches its columns.
_PHASES = (
    *("column lend", "column cascade", "cascade", "revoke", "grant", "restore"),
    *("column revoke", "column grant", "column restore"),
)
_OBJECT_KINDS = ("database", "schema", *KINDS)


@dataclass
class DatabaseDraft:
    """What one database needs.

    :param create: CREATE DATABASE, if it is not there; outside of any transaction.
    :param steps: what happens inside it, in one transaction.
    :param acts_as: roles whose objects are changed.
    """

    name: str
    create: list[Step] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    acts_as: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    connect_before: frozenset[str] = frozenset()
    connect_after: frozenset[str] = frozenset()
    owner_after: str = ""


class _Change(NamedTuple):
    """One statement's shape; statements of one shape share their objects. ``columns``: (privilege, columns)."""

    phase: int
    kind: int
    words: tuple[str, ...]
    columns: tuple[tuple[str, tuple[str, ...]], ...]
    roles: tuple[str, ...]


class _Wanted(NamedTuple):
    """What is declared for the objects of one kind in one schema.

    :param general: for every object that is not special.
    :param special: for the objects that an entry names or excepts.
    :param columns: for tables, (column, grantee, privilege).
    :param future: for what creators will create.
    """

    general: frozenset[Pair]
    special: Mapping[str, frozenset[Pair]]
    columns: Mapping[str, frozenset[tuple[str, str, str]]]
    future: frozenset[Pair]


def plan_database(
    database: DatabaseSpec,
    spec: AccessSpec,
    state: AccessState,
    exempt: Callable[[str], bool],
    problems: Problems,
) -> DatabaseDraft:
    """Plan one database, existing or to be created (then its content is that of the template)."""
    return _Planner(database, spec, state, exempt, problems).run()


class _Planner:
    def __init__(
        self,
        database: DatabaseSpec,
        spec: AccessSpec,
        state: AccessState,
        exempt: Callable[[str], bool],
        problems: Problems,
    ) -> None:
        self.database = database
        self.name = database.name
        self.spec = spec
        self.state = state
        self.exempt = exempt
        self.problems = problems
        self.draft = DatabaseDraft(database.name)
        self.shapes: dict[_Change, list[tuple[tuple[str, str], Argument]]] = {}
        self.texts: dict[tuple[str, str, str, str], list[str]] = {}
        self.futures: dict[tuple[str, str], frozenset[Pair]] = {}
        self.owner = ""

    def run(self) -> DatabaseDraft:
        observed = self.observed()
        if observed is None:
            return self.draft
        self.database_itself(observed)
        schemas = observed.schemas or {}
        for declared in self.database.schemas:
            self.schema(declared, schemas.get(declared.name))
        self.emit()
        self.default_privileges(observed.defaults or {})
        undeclared = sorted(set(schemas) - {schema.name for schema in self.database.schemas})
        if self.spec.purge and self.database.schemas and undeclared:
            self.draft.warnings.append(
                f"Schemas of database {self.name} that are not declared were left as they are: {', '.join(undeclared)}."
            )
        return self.draft

    def observed(self) -> DatabaseState | None:
        observed = self.state.databases.get(self.name)
        if observed is None:
            owner = self.database.owner or self.state.capabilities.user
            options = "" if self.database.connection_limit is None else " CONNECTION LIMIT {}"
            values = [] if self.database.connection_limit is None else [Literal(self.database.connection_limit)]
            self.draft.create.append(
                Step(
                    f"database {self.name}",
                    Sql("CREATE DATABASE {} OWNER {}" + options, (Ident(self.name), Ident(owner), *values)),
                    transactional=False,
                )
            )
            self.draft.changes.append(Change(f"database {self.name}", None, self.database_text(owner)))
            self.draft.acts_as.add(owner)
            template = self.state.template
            return DatabaseState(
                name=self.name,
                owner=owner,
                acl=new_database_acl(owner),
                connection_limit=-1 if self.database.connection_limit is None else self.database.connection_limit,
                schemas=template.schemas if template else {},
                defaults=template.defaults if template else {},
            )
        if not observed.allows_connections:
            self.problems.add(f"Database {self.name!r} does not allow connections")
            return None
        return observed

    def database_text(self, owner: str) -> str:
        limit = self.database.connection_limit
        return f"owner={owner}" + ("" if limit is None else f" connection_limit={limit}")

    def database_itself(self, observed: DatabaseState) -> None:
        subject = f"database {self.name}"
        current = observed.acl
        self.owner = observed.owner
        if self.database.owner is not None and self.database.owner != observed.owner:
            self.owner = self.database.owner
            current = acl.reowned(current, observed.owner, self.owner)
            self.draft.acts_as |= {observed.owner, self.owner}
            self.step(subject, Sql("ALTER DATABASE {} OWNER TO {}", (Ident(self.name), Ident(self.owner))))
            self.draft.changes.append(Change(f"{subject} owner", observed.owner, self.owner))
        limit = self.database.connection_limit
        if limit is not None and limit != observed.connection_limit:
            self.draft.acts_as.add(self.owner)
            self.step(subject, Sql("ALTER DATABASE {} CONNECTION LIMIT {}", (Ident(self.name), Literal(limit))))
            self.draft.changes.append(Change(f"{subject} connection_limit", str(observed.connection_limit), str(limit)))
        wanted = frozenset(
            (role, privilege)
            for key, privilege in (("connect", "CONNECT"), ("temporary", "TEMPORARY"), ("create", "CREATE"))
            for role in getattr(self.database, key)
        )
        change = self.change(current, self.owner, wanted)
        self.add("database", ("", self.name), Ident(self.name), change, current, self.owner)
        self.draft.connect_before = frozenset(i.grantee for i in observed.acl if i.privilege == "CONNECT")
        self.draft.connect_after = frozenset(i.grantee for i in change.after if i.privilege == "CONNECT")
        self.draft.owner_after = self.owner

    def schema(self, declared: SchemaSpec, observed: SchemaState | None) -> None:
        place = f"{self.name}.{declared.name}"
        subject = f"schema {place}"
        if observed is None:
            owner = declared.owner or self.state.capabilities.user
            self.step(subject, Sql("CREATE SCHEMA {} AUTHORIZATION {}", (Ident(declared.name), Ident(owner))))
            self.draft.changes.append(Change(f"{subject} owner", None, owner))
            self.draft.acts_as |= {owner, self.owner}
            observed = SchemaState(
                declared.name, owner, frozenset(AclItem(owner, owner, word, False) for word in ("CREATE", "USAGE"))
            )
        elif observed.extension:
            self.problems.add(f"Schema {place} belongs to an extension and is left alone; do not declare it")
            return
        owner, current = observed.owner, observed.acl
        if declared.owner is not None and declared.owner != owner:
            current = acl.reowned(current, owner, declared.owner)
            self.act_as(owner)
            owner = declared.owner
            self.act_as(owner)
            self.step(subject, Sql("ALTER SCHEMA {} OWNER TO {}", (Ident(declared.name), Ident(owner))))
            self.draft.changes.append(Change(f"{subject} owner", observed.owner, owner))
        wanted = frozenset(
            (role, privilege)
            for key, privilege in (("usage", "USAGE"), ("create", "CREATE"))
            for role in getattr(declared, key)
        )
        change = self.change(current, owner, wanted)
        self.add("schema", (self.name, declared.name), Ident(declared.name), change, current, owner)
        for kind in KINDS:
            self.objects(kind, declared, observed)

    def objects(self, kind: str, declared: SchemaSpec, observed: SchemaState) -> None:
        wanted = self.wanted(kind, declared, observed)
        self.futures[(declared.name, kind)] = wanted.future
        columns_held: dict[str, set[tuple[str, Acl]]] = {}
        if kind == "table":
            for (table, column), held in observed.columns.items():
                columns_held.setdefault(table, set()).add((column, held))
        # Objects with the same owner, list and declaration share one decision: ten thousand tables are a few of them.
        groups: dict[
            tuple[str, Acl, frozenset[Pair], frozenset[tuple[str, Acl]], frozenset[tuple[str, str, str]]], list[str]
        ] = {}
        for name, thing in observed.objects.get(kind, {}).items():
            held_here = columns_held.get(name)
            key = (
                thing.owner,
                thing.acl,
                wanted.special.get(name, wanted.general),
                frozenset(held_here) if held_here else _NO_COLUMNS,
                wanted.columns.get(name, _NO_COLUMNS_WANTED),
            )
            groups.setdefault(key, []).append(name)
        place = f"{self.name}.{declared.name}"
        for (owner, current, pairs, held_columns, wanted_columns), names in groups.items():
            change = self.change(current, owner, pairs)
            shapes = self.shapes_of(change, kind)
            columns = self.column_changes(change, owner, held_columns, wanted_columns)
            shapes += self.column_shapes(columns)
            if not shapes:
                continue
            self.act_as(owner)
            for name in names:
                argument = self.argument(kind, observed, name)
                for shape in shapes:
                    self.shapes.setdefault(shape, []).append(((declared.name, name), argument))
            if change.any:
                order = PRIVILEGES[kind]
                texts = (acl.described(current, owner, order), acl.described(change.after, owner, order))
                self.texts.setdefault((kind, place, *texts), []).extend(names)
            order = PRIVILEGES["column"]
            for column, (held, column_change) in columns.items():
                texts = (acl.described(held, owner, order), acl.described(column_change.after, owner, order))
                if texts[0] != texts[1]:
                    for name in names:
                        self.texts.setdefault(("column", f"{place}.{name}", *texts), []).append(column)

    @staticmethod
    def argument(kind: str, observed: SchemaState, name: str) -> Argument:
        if kind == "function":
            return statements.routine(observed.name, observed.routines[name])
        return Ident(observed.name, name)

    def change(
        self, current: Acl, owner: str, wanted: frozenset[Pair], parent: acl.AclChange | None = None
    ) -> acl.AclChange:
        return acl.change(current, owner, wanted, purge=self.spec.purge, exempt=self.exempt, parent=parent)

    def column_changes(
        self,
        change: acl.AclChange,
        owner: str,
        held: frozenset[tuple[str, Acl]],
        wanted: frozenset[tuple[str, str, str]],
    ) -> dict[str, tuple[Acl, acl.AclChange]]:
        if not held and not wanted:
            return {}
        lists: dict[str, Acl] = dict(held)
        pairs: dict[str, set[Pair]] = {}
        for column, grantee, privilege in wanted:
            pairs.setdefault(column, set()).add((grantee, privilege))
        return {
            column: (
                lists.get(column, frozenset()),
                self.change(lists.get(column, frozenset()), owner, frozenset(pairs.get(column, ())), change),
            )
            for column in sorted({*lists, *pairs})
        }

    # What is declared for the objects of a kind.

    def wanted(self, kind: str, declared: SchemaSpec, observed: SchemaState) -> _Wanted:
        place = f"{kind}s of schema {self.name}.{declared.name}"
        general: set[Pair] = set()
        future: set[Pair] = set()
        named: list[tuple[frozenset[Pair], frozenset[str], frozenset[str]]] = []
        columns: dict[str, set[tuple[str, str, str]]] = {}
        for entry in declared.entries.get(kind, ()):
            pairs = self.pairs(entry, "column" if entry.columns else kind, place)
            objects = frozenset(self.resolved(kind, entry.objects, observed, place))
            excluded = frozenset(self.resolved(kind, entry.excluded, observed, place))
            if entry.columns:
                self.check_columns(entry, objects, observed, place)
                for table in objects:
                    known = observed.known_columns.get(table, frozenset())
                    columns.setdefault(table, set()).update(
                        (column, *pair) for column in entry.columns if column in known for pair in pairs
                    )
            elif entry.objects:
                named.append((pairs, objects, frozenset()))
            else:
                named.append((pairs, frozenset(), excluded))
                general |= pairs
                if len(excluded) == len(entry.excluded):
                    future |= pairs
                elif declared.creators:
                    # An excepted object that is still to come would be open from birth.
                    self.draft.warnings.append(
                        f"{place}: {', '.join(entry.roles)} got nothing on future {kind}s, because not every object "
                        "in except exists yet; run this again when they do."
                    )
        special: dict[str, frozenset[Pair]] = {}
        for name in {name for _pairs, objects, excluded in named for name in objects | excluded}:
            special[name] = frozenset(
                pair
                for pairs, objects, excluded in named
                if (name in objects if objects else name not in excluded)
                for pair in pairs
            )
        return _Wanted(
            frozenset(general),
            special,
            {table: frozenset(found) for table, found in columns.items()},
            frozenset(future),
        )

    def pairs(self, entry: Entry, kind: str, place: str) -> frozenset[Pair]:
        known = all_privileges(kind, self.state.capabilities.server_version)
        for word in entry.privileges:
            if word != "ALL" and word not in known:
                self.problems.add(f"{place}: {word} needs PostgreSQL 17 or later")
        words = known if "ALL" in entry.privileges else entry.privileges
        return frozenset((role, word) for role in entry.roles for word in words if word in known)

    def resolved(self, kind: str, names: Iterable[str], observed: SchemaState, place: str) -> Iterable[str]:
        there = observed.objects.get(kind, {})
        for name in names:
            if name in there:
                yield name
                continue
            overloads = [key for key in there if kind == "function" and observed.routines[key].name == name]
            if len(overloads) == 1:
                yield overloads[0]
            elif overloads:
                self.problems.add(f"{place}: {name!r} is ambiguous; say which: {', '.join(sorted(overloads))}")
            elif (kind, name) in observed.extension_objects:
                self.problems.add(f"{place}: {name!r} belongs to an extension and is left alone")
            elif self.spec.skip_unknown_objects:
                self.draft.warnings.append(f"{place}: there is no {kind} {name} yet; it was left out.")
            else:
                self.problems.add(f"{place}: there is no {kind} {name!r}{nearest(name, there)}")

    def check_columns(self, entry: Entry, tables: Iterable[str], observed: SchemaState, place: str) -> None:
        for table in sorted(tables):
            known = observed.known_columns.get(table, frozenset())
            for column in entry.columns:
                if column in known:
                    continue
                if self.spec.skip_unknown_objects:
                    self.draft.warnings.append(f"{place}: table {table} has no column {column}; it was left out.")
                else:
                    self.problems.add(f"{place}: table {table!r} has no column {column!r}{nearest(column, known)}")

    # Default privileges.

    def default_privileges(self, observed: Mapping[DefaultKey, Acl]) -> None:
        wanted: dict[DefaultKey, frozenset[Pair]] = {}
        declared = {schema.name for schema in self.database.schemas}
        for schema in self.database.schemas:
            for kind in KINDS if schema.creators else ():
                for creator in schema.creators:
                    wanted[DefaultKey(creator, schema.name, kind)] = self.futures.get((schema.name, kind), _NONE)
        if self.spec.purge:
            # Lists of one schema only add to those of all schemas, so what PUBLIC has built in can be taken away in
            # the latter alone (PostgreSQL manual, ALTER DEFAULT PRIVILEGES).
            for creator in {key.creator for key in wanted}:
                for kind in KINDS:
                    wanted[DefaultKey(creator, None, kind)] = _NONE
            for key in observed:
                if key.schema in declared and not self.spec.ignores(key.creator):
                    wanted.setdefault(key, _NONE)
        shapes: dict[tuple[bool, int, int, tuple[str, ...], tuple[str, ...]], dict[str, list[str]]] = {}
        for key in sorted(wanted, key=lambda key: (key.creator, key.schema or "", KINDS.index(key.kind))):
            current = observed.get(key)
            if current is None:
                current = builtin_defaults(key.kind, key.creator) if key.schema is None else frozenset()
            pairs = frozenset(pair for pair in wanted[key] if pair[0] != key.creator)
            change = self.change(current, key.creator, pairs)
            if not change.any:
                continue
            self.draft.acts_as.add(key.creator)
            for shape in self.shapes_of(change, key.kind):
                by_creator = shapes.setdefault(
                    (key.schema is not None, shape.phase, shape.kind, shape.words, shape.roles), {}
                )
                by_creator.setdefault(key.creator, []).extend([] if key.schema is None else [key.schema])
            order = PRIVILEGES[key.kind]
            where = f"in {self.name}.{key.schema}" if key.schema is not None else f"in all schemas of {self.name}"
            self.draft.changes.append(
                Change(
                    f"future {key.kind}s of {key.creator} {where}",
                    acl.described(current, key.creator, order),
                    acl.described(change.after, key.creator, order),
                )
            )
        for shape_key in sorted(shapes):
            _in_schema, phase, kind_index, words, roles = shape_key
            by_schemas: dict[tuple[str, ...], list[str]] = {}
            for creator, schemas in sorted(shapes[shape_key].items()):
                by_schemas.setdefault(tuple(schemas), []).append(creator)
            for schemas_tuple, creators in sorted(by_schemas.items()):
                sql = statements.default_privileges(
                    _PHASES[phase], _OBJECT_KINDS[kind_index], words, creators, schemas_tuple, roles
                )
                self.step(f"default privileges of {', '.join(creators)} in database {self.name}", sql)

    # Statements.

    def shapes_of(self, change: acl.AclChange, kind: str) -> list[_Change]:
        return [
            _Change(_PHASES.index(mode), _OBJECT_KINDS.index(kind), words, (), roles)
            for mode in ("cascade", "revoke", "grant", "restore")
            for words, roles in acl.privilege_sets(getattr(change, mode), PRIVILEGES[kind])
        ]

    @staticmethod
    def column_shapes(columns: Mapping[str, tuple[Acl, acl.AclChange]]) -> list[_Change]:
        shapes = []
        for mode in statements.MODES:
            by_role: dict[str, dict[str, list[str]]] = {}
            for column, (_held, change) in columns.items():
                for grantee, privilege in getattr(change, mode):
                    by_role.setdefault(grantee, {}).setdefault(privilege, []).append(column)
            by_words: dict[tuple[tuple[str, tuple[str, ...]], ...], list[str]] = {}
            for grantee in sorted(by_role):
                words = tuple(
                    (word, tuple(sorted(by_role[grantee][word])))
                    for word in PRIVILEGES["column"]
                    if word in by_role[grantee]
                )
                by_words.setdefault(words, []).append(grantee)
            shapes += [
                _Change(_PHASES.index(f"column {mode}"), _OBJECT_KINDS.index("table"), (), words, tuple(roles))
                for words, roles in by_words.items()
            ]
        return shapes

    def add(
        self,
        kind: str,
        name: tuple[str, str],
        argument: Argument,
        change: acl.AclChange,
        current: Acl,
        owner: str,
    ) -> None:
        if not change.any:
            return
        self.act_as(owner)
        for shape in self.shapes_of(change, kind):
            self.shapes.setdefault(shape, []).append((name, argument))
        subject = f"{kind} {'.'.join(part for part in name if part)}"
        order = PRIVILEGES[kind]
        self.draft.changes.append(
            Change(subject, acl.described(current, owner, order), acl.described(change.after, owner, order))
        )

    def emit(self) -> None:
        for shape in sorted(self.shapes):
            found = sorted(self.shapes[shape], key=lambda item: item[0])
            kind = _OBJECT_KINDS[shape.kind]
            mode = _PHASES[shape.phase].rpartition(" ")[2]
            for start in range(0, len(found), statements.BATCH):
                batch = found[start : start + statements.BATCH]
                arguments = [argument for _name, argument in batch]
                if shape.columns:
                    sql = statements.column_privileges(mode, shape.columns, arguments, shape.roles)
                else:
                    sql = statements.privileges(mode, kind, shape.words, arguments, shape.roles)
                names = [".".join(part for part in name if part) for name, _argument in batch]
                place = self.name if kind != "database" else ""
                self.step(statements.subject(kind, place, names), sql)
        for (kind, place, before, after), names in sorted(self.texts.items()):
            self.draft.changes.append(Change(statements.subject(kind, place, sorted(names)), before, after))

    def step(self, subject: str, sql: Sql) -> None:
        self.draft.steps.append(Step(subject, sql, self.name))

    def act_as(self, owner: str) -> None:
        # The owner of the database is the only member of pg_database_owner (PostgreSQL manual, 22.5).
        self.draft.acts_as.add(self.owner if owner == "pg_database_owner" else owner)


def builtin_defaults(kind: str, owner: str) -> Acl:
    """What PostgreSQL gives on a new object when no default privileges say otherwise (acldefault in acl.c)."""
    items = {AclItem(owner, owner, word, False) for word in PRIVILEGES[kind]}
    if kind in ("function", "type"):
        items |= {AclItem(PUBLIC, owner, word, False) for word in PRIVILEGES[kind]}
    return frozenset(items)


def new_database_acl(owner: str) -> Acl:
    """What PostgreSQL gives on a new database (acldefault in acl.c)."""
    items = {AclItem(owner, owner, word, False) for word in PRIVILEGES["database"]}
    return frozenset(items | {AclItem(PUBLIC, owner, word, False) for word in ("CONNECT", "TEMPORARY")})
