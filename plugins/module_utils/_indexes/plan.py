# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to build, mend and drop so that the required indexes are there. Pure.

Builds come first and drops last, so that an index that replaces another is there before the other goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ansible_collections.dbops.postgres.plugins.module_utils._indexes import match, statements
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.report import described, leftover
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.spec import Normal, Wanted
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.state import Definition, Index, Observed, Table
from ansible_collections.dbops.postgres.plugins.module_utils._plan import Change, DbopsError, Plan, Sql, Step


@dataclass(frozen=True)
class Planned:
    """A plan, and what it left alone."""

    plan: Plan
    warnings: tuple[str, ...] = ()


@dataclass
class _Draft:
    seen: Observed
    steps: list[Step] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    handled: set[int] = field(default_factory=set)
    taken: dict[str, set[str]] = field(default_factory=dict)

    def add(self, subject: str, statement: Sql) -> None:
        self.steps.append(Step(subject, statement, transactional=False))

    def change(self, name: str, before: str | None, after: str | None) -> None:
        self.changes.append(Change(f"index {name}", before, after))

    def new_name(self, table: Table, definition: Definition, name: str = "") -> str:
        taken = self.taken.setdefault(table.schema, set())
        name = name or statements.default_name(table.name, definition, frozenset(taken))
        taken.add(name)
        return name


def plan(seen: Observed, normal: Normal, drop: Sequence[tuple[str, str]] = (), *, mend: bool = True) -> Planned:
    """The plan.

    :param drop: schema and name of each index that is to go.
    :param mend: whether invalid indexes that nobody declared are rebuilt, and leftovers removed.
    :raises DbopsError: a declared index cannot be built as it is declared, or one to drop must stay.
    """
    if normal.problems:
        wanted, message = normal.problems[0]
        raise DbopsError(
            f"Index on {wanted.schema}.{wanted.table} ({described(wanted.definition)}): {message}",
            "Write types, functions and operator classes that are not PostgreSQL's own with their schema.",
        )
    draft = _Draft(seen)
    names = [(i.schema, i.name) for i in seen.indexes] + [(t.schema, t.name) for t in seen.tables.values()]
    for schema, name in names:
        draft.taken.setdefault(schema, set()).add(name)
    chosen = _chosen(normal.wanted)
    going = _going(seen, drop, chosen)
    for wanted in chosen:
        _make(draft, wanted, going)
    if mend:
        for index in seen.indexes:
            if not index.valid and index.oid not in draft.handled and index.oid not in going:
                _mend(draft, index)
    for index in going.values():
        draft.add(f"index {index.full_name}", statements.drop(index))
        draft.change(index.full_name, described(index.definition), None)
    return Planned(Plan(tuple(draft.steps), tuple(draft.changes)), tuple(draft.warnings))


def _chosen(wanted: Iterable[Wanted]) -> list[Wanted]:
    """Without those whose work another required one does, whatever is there already: so the result is the same."""
    wanted = list(wanted)
    chosen: list[Wanted] = []
    for item in sorted(wanted, key=lambda w: (not w.definition.unique, -len(w.definition.keys))):
        others = [w for w in chosen if (w.schema, w.table) == (item.schema, item.table)]
        if not any(match.covers(other.definition, item.definition) for other in others):
            chosen.append(item)
    return [item for item in wanted if item in chosen]


def _going(seen: Observed, drop: Sequence[tuple[str, str]], chosen: Sequence[Wanted]) -> dict[int, Index]:
    named = {(index.schema, index.name): index for index in seen.indexes}
    going = {named[name].oid: named[name] for name in drop if name in named}
    for index in going.values():
        why = ""
        if index.constraint:
            why = f"it belongs to the constraint {index.constraint}: drop that by a migration"
        elif index.parent:
            why = "it is part of the index of the partitioned table: drop that one"
        elif index.kept:
            why = index.kept
        if why:
            raise DbopsError(f"Index {index.full_name} cannot be dropped: {why}")
    for wanted in chosen:
        table = seen.named.get((wanted.schema, wanted.table))
        serving = [i for i in seen.on(table.oid) if match.satisfies(i, wanted.definition)] if table else []
        if serving and all(index.oid in going for index in serving):
            raise DbopsError(
                f"Index {serving[0].full_name} is to be dropped, but does the work of the required index on "
                f"{wanted.schema}.{wanted.table} ({described(wanted.definition)})",
                "Take it out of drop, or the other out of required.",
            )
    return going


def _make(draft: _Draft, wanted: Wanted, going: dict[int, Index]) -> None:
    table = draft.seen.named.get((wanted.schema, wanted.table))
    if table is None:
        raise DbopsError(f"There is no table {wanted.schema}.{wanted.table}", "Run the migrations, or mend the spec.")
    definition = wanted.definition
    for name in (*(key.column for key in definition.keys if key.column), *definition.include):
        if name not in table.columns:
            raise DbopsError(f"Table {table.full_name} has no column {name}", "Run the migrations, or mend the spec.")
    indexes = draft.seen.on(table.oid)
    if any(match.satisfies(index, definition) for index in indexes if index.oid not in going):
        return
    broken = [i for i in indexes if not i.valid and match.same(i.definition, definition) and i.oid not in going]
    broken = [i for i in broken if not leftover(i)]
    if broken:
        _complete(draft, broken[0])
        return
    holder = [index for index in draft.seen.indexes if (index.schema, index.name) == (table.schema, wanted.name)]
    if wanted.name and (holder or wanted.name in draft.taken.get(table.schema, set())):
        what = f"an index on {draft.seen.tables[holder[0].table].full_name} with another definition" if holder else ""
        raise DbopsError(
            f"The required index {table.schema}.{wanted.name} cannot be built: the name belongs to "
            + (what or "a table, or to another required index"),
            "Give it another name, or name the old index in drop after giving this one another name.",
        )
    _build(draft, table, definition, draft.new_name(table, definition, wanted.name))


def _build(draft: _Draft, table: Table, definition: Definition, name: str) -> None:
    full = f"{table.schema}.{name}"
    draft.change(full, None, described(definition))
    if table.kind != "p":
        draft.add(f"index {full}", statements.create(table.schema, table.name, definition, name))
        return
    draft.add(f"index {full}", statements.create(table.schema, table.name, definition, name, only=True))
    _parts(draft, table, definition, name, None)


def _parts(draft: _Draft, table: Table, definition: Definition, name: str, parent: Index | None) -> None:
    """Build the index on every partition that lacks it, and attach it."""
    for part in sorted((t for t in draft.seen.tables.values() if t.parent == table.oid), key=lambda t: t.full_name):
        indexes = draft.seen.on(part.oid)
        attached = [i for i in indexes if parent and i.parent == parent.oid]
        if attached:
            if not attached[0].valid:
                _complete(draft, attached[0])
            continue
        same = [i for i in indexes if not i.parent and not i.constraint and match.same(i.definition, definition)]
        same.sort(key=lambda i: not i.valid)
        if same:
            own = same[0].name
            if not same[0].valid:
                _complete(draft, same[0])
            else:
                draft.change(same[0].full_name, "by itself", f"part of {table.schema}.{name}")
        else:
            own = draft.new_name(part, definition)
            _build(draft, part, definition, own)
        draft.add(f"index {table.schema}.{name}", statements.attach(table.schema, name, part.schema, own))


def _complete(draft: _Draft, index: Index) -> None:
    """Make an invalid index valid."""
    if index.oid in draft.handled:
        return
    draft.handled.add(index.oid)
    table = draft.seen.tables[index.table]
    if index.oid in draft.seen.building or index.table in draft.seen.building:
        raise DbopsError(
            f"An index of {table.full_name} is being built now by another session ({index.full_name} is not valid yet)",
            "Wait for it, then run this again.",
        )
    draft.change(index.full_name, "invalid", described(index.definition))
    if index.partitioned:
        _parts(draft, table, index.definition, index.name, index)
    elif index.constraint or index.parent:  # it cannot be dropped by itself
        draft.add(f"index {index.full_name}", statements.reindex(index))
    else:
        draft.add(f"index {index.full_name}", statements.drop(index))
        create = statements.create(table.schema, table.name, index.definition, index.name)
        draft.add(f"index {index.full_name}", create)


def _mend(draft: _Draft, index: Index) -> None:
    """An invalid index that nobody declared: it is not this module's to drop, unless REINDEX has left it."""
    if index.oid in draft.handled:
        return
    if index.oid in draft.seen.building or index.table in draft.seen.building or draft.seen.building_unseen:
        draft.warnings.append(f"Index {index.full_name} is not valid, but may be being built now: it was left alone.")
        return
    if index.constraint and not index.definition.unique:
        draft.warnings.append(
            f"Index {index.full_name} of an exclusion constraint is not valid, and cannot be rebuilt concurrently: "
            "it was left alone. REINDEX INDEX mends it and locks the table."
        )
        return
    if leftover(index):
        draft.handled.add(index.oid)
        draft.change(index.full_name, "left by REINDEX CONCURRENTLY", None)
        draft.add(f"index {index.full_name}", statements.drop(index))
    elif index.partitioned:
        _complete(draft, index)
    else:
        draft.handled.add(index.oid)
        draft.change(index.full_name, "invalid", described(index.definition))
        draft.add(f"index {index.full_name}", statements.reindex(index))
