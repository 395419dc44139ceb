# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pg_index would do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._indexes import plan as planning
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.spec import Normal, Wanted
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.state import Definition, Observed
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.statements import default_name, leaves, render
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError, Ident, Sql
from tests.unit._indexes.examples import definition as d
from tests.unit._indexes.examples import index, seen, table
from tests.unit._indexes.examples import wanted as w


def wanted(definition: Definition, name: str = "") -> Wanted:
    return Wanted("app", "t", definition, name)


def steps(observed: Observed, *required: Wanted, drop: tuple[str, ...] = (), mend: bool = True) -> list[str]:
    planned = planning.plan(observed, Normal(required), [("app", name) for name in drop], mend=mend)
    assert all(not step.transactional for step in planned.plan.steps)
    return [render(step.sql).replace('"', "") for step in planned.plan.steps]


def test_nothing_to_do() -> None:
    assert steps(seen(index("i", "a", "b")), wanted(w("a"))) == []


def test_two_required_ones_are_built_once_whatever_their_order() -> None:
    long, short = wanted(w("a", "b")), wanted(w("a"))
    expected = ["CREATE INDEX CONCURRENTLY t_a_b_idx ON app.t USING btree (a, b)"]
    assert steps(seen(), long, short) == steps(seen(), short, long) == expected
    # The same whether the short one is there or not.
    assert steps(seen(index("i", "a")), short, long) == expected


def test_a_taken_name_is_not_used_twice() -> None:
    observed = seen(index("t_a_idx", "b"))
    (statement,) = steps(observed, wanted(w("a")))
    assert "CONCURRENTLY t_a_idx_" in statement
    with pytest.raises(DbopsError, match="the name belongs to an index on"):
        steps(observed, wanted(w("a"), "t_a_idx"))
    with pytest.raises(DbopsError, match="the name belongs to a table"):
        steps(seen(), wanted(w("a"), "t"))


def test_long_names_stay_different() -> None:
    column = "c" * 60
    names = {default_name("t", d(column, other)) for other in "ab"}
    assert len(names) == 2
    assert all(len(name.encode()) <= 63 for name in names)


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("i", {}, ["REINDEX INDEX CONCURRENTLY app.i"]),
        ("i_ccnew", {}, ["DROP INDEX CONCURRENTLY app.i_ccnew"]),
        ("i_ccold2", {}, ["DROP INDEX CONCURRENTLY app.i_ccold2"]),
        ("i_key", {"unique": True, "constraint": "i_key"}, ["REINDEX INDEX CONCURRENTLY app.i_key"]),
        ("i", {"method": "gist", "constraint": "i"}, []),
    ],
)
def test_an_undeclared_invalid_index(name: str, change: dict[str, Any], expected: list[str]) -> None:
    observed = seen(index(name, "a", valid=False, **change))
    assert steps(observed) == expected
    assert steps(observed, mend=False) == []


def test_an_index_that_is_being_built_is_left_alone() -> None:
    observed = replace(seen(index("i", "a", oid=5, valid=False)), building=frozenset({5}))
    planned = planning.plan(observed, Normal(), ())
    assert not planned.plan.changed
    assert "was left alone" in planned.warnings[0]
    with pytest.raises(DbopsError, match="being built now by another session"):
        steps(observed, wanted(w("a")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"constraint": "c"}, "belongs to the constraint c"),
        ({"parent": 9}, "part of the index of the partitioned table"),
        ({"kept": "it is the replica identity"}, "replica identity"),
    ],
)
def test_what_must_not_be_dropped(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DbopsError, match=message):
        steps(seen(index("i", "a", **change)), drop=("i",))


def test_dropping() -> None:
    observed = seen(index("i", "a"), index("j", "a", "b"))
    assert steps(observed, drop=("i", "gone")) == ["DROP INDEX CONCURRENTLY app.i"]
    assert steps(observed, wanted(w("a")), drop=("i",)) == ["DROP INDEX CONCURRENTLY app.i"]
    with pytest.raises(DbopsError, match="does the work of the required index"):
        steps(observed, wanted(w("a")), drop=("i", "j"))


def test_what_the_server_does_not_understand_stops_everything() -> None:
    normal = Normal((), ((wanted(d("no_such(a)")), "function no_such(integer) does not exist"),))
    with pytest.raises(DbopsError, match=r"no_such\(integer\) does not exist"):
        planning.plan(seen(), normal)


def test_a_partition_that_has_the_index_is_attached() -> None:
    tables = (table(kind="p"), table(2, "t1", parent=1), table(3, "t2", parent=1))
    observed = seen(index("own", "a", table=2), index("broken", "a", table=3, valid=False), tables=tables)
    assert steps(observed, wanted(w("a"))) == [
        "CREATE INDEX t_a_idx ON ONLY app.t USING btree (a)",
        "ALTER INDEX app.t_a_idx ATTACH PARTITION app.own",
        "DROP INDEX CONCURRENTLY app.broken",
        "CREATE INDEX CONCURRENTLY broken ON app.t2 USING btree (a)",
        "ALTER INDEX app.t_a_idx ATTACH PARTITION app.broken",
    ]


def test_what_a_failed_statement_leaves() -> None:
    create = Sql("CREATE INDEX CONCURRENTLY {} ON {} USING", (Ident("i"), Ident("app", "t")))
    assert leaves(create) == ("app", "i")
    assert leaves(Sql("REINDEX INDEX CONCURRENTLY {}", (Ident("app", "i"),))) == ("app", "i_ccnew")
    assert leaves(Sql("REINDEX INDEX CONCURRENTLY {}", (Ident("app", "i" * 63),))) == ("app", "i" * 57 + "_ccnew")
    assert leaves(Sql("DROP INDEX CONCURRENTLY {}", (Ident("app", "i"),))) is None
    assert leaves(Sql("CREATE INDEX {} ON ONLY {} USING", (Ident("i"), Ident("app", "t")))) is None
