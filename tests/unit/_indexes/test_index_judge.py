# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said about indexes, and above all what is not."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.judge import judge
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.spec import Limits, Normal, Spec, Wanted
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.state import (
    ColumnStatistics,
    Definition,
    Index,
    Key,
    Node,
    Observed,
)
from tests.unit._indexes.examples import LONG_AGO, NOW, foreign_key, index, seen, table
from tests.unit._indexes.examples import wanted as w


def findings(observed: Observed, *required: Wanted, **limits: int) -> list[Finding]:
    spec = Spec(required=required, limits=Limits(**limits), ignore=("app.ignored_*",))
    return judge(observed, spec, Normal(required))


def failed(observed: Observed, *required: Wanted, **limits: int) -> list[tuple[str, str]]:
    found = findings(observed, *required, **limits)
    return [(item.title, item.subject) for item in found if item.status is Status.FAIL]


def said(found: list[Finding], title: str) -> Finding:
    (finding,) = [item for item in found if item.title == title]
    return finding


def test_a_good_table_passes_every_rule() -> None:
    key = index("t_pkey", "id", unique=True, primary=True, constraint="t_pkey")
    known = {("app", "t", column): ColumnStatistics(0, 4, -1, 0.0) for column in ("id", "a")}
    found = findings(seen(key, index("t_a", "a"), statistics=known))
    passed = {item.title for item in found if item.status is Status.PASS}
    assert {item.title for item in found} - passed == {"required index", "foreign key without index"}
    assert said(found, "required index").status is Status.NOT_APPLICABLE  # none is declared
    assert said(found, "foreign key without index").status is Status.NOT_APPLICABLE  # there is none
    assert len({item.title for item in found}) == 10
    assert "2 indexes on 1 tables" in said(found, "bloat").evidence


def test_large_indexes_without_statistics_are_not_judged() -> None:
    found = findings(seen(index("i", "a", bytes=10**9)))
    for rule in ("low cardinality", "bloat"):
        assert said(found, rule).status is Status.NOT_TESTED
        assert "app.i" in said(found, rule).evidence


UNUSED = ("unused index", "app.i")


@pytest.mark.parametrize(
    ("change", "is_unused"),
    [
        ({}, True),
        ({"unique": True}, False),
        ({"constraint": "c"}, False),
        ({"primary": True}, False),
        ({"kept": "it is the replica identity"}, False),
        ({"bytes": 1000}, False),
        ({"valid": False}, False),
        ({"parent": 7}, False),
    ],
)
def test_only_an_index_that_only_serves_reading_is_unused(change: dict[str, Any], is_unused: bool) -> None:
    assert (UNUSED in failed(seen(index("i", "a", **change), unread=("i",)))) is is_unused


def test_an_index_of_a_table_that_nobody_reads_is_not_unused() -> None:
    unread = table(seq_scans=0)
    assert failed(seen(index("i", "a"), unread=("i",), tables=(unread,))) == []
    assert failed(seen(index("i", "a"), index("j", "b"), unread=("i",), tables=(unread,))) == [UNUSED]


def test_a_deferrable_unique_index_is_no_duplicate() -> None:
    late = index("late", "a", unique=True, constraint="late")
    late = replace(late, definition=replace(late.definition, immediate=False))
    assert failed(seen(late, index("own", "a", unique=True))) == []


def test_an_ignored_index_is_never_unused() -> None:
    assert failed(seen(index("ignored_i", "a"), unread=("ignored_i",))) == []


def test_an_unused_index_says_what_it_costs_and_how_it_goes() -> None:
    observed = seen(index('i"x', "a"), unread=('i"x',), tables=(table(index_writes=123456),))
    finding = said(findings(observed), "unused index")
    assert "Not read once since 2026-08-17 on 1 server(s)" in finding.evidence
    assert "2,048 kB, 123,456 writes to it since 2026-08-17, 0 scans" in finding.evidence
    assert finding.remedy == 'DROP INDEX CONCURRENTLY "app"."i""x";'


def test_an_index_read_on_a_replica_is_used() -> None:
    observed = seen(index("i", "a", oid=5), unread=("i",), standbys=1)
    replica = Node("db2", LONG_AGO, {5: 1})
    assert failed(replace(observed, nodes=(*observed.nodes, replica))) == []


def test_an_index_of_a_partitioned_table_is_used_when_one_of_its_partitions_is() -> None:
    tables = (table(kind="p"), table(2, "t1", parent=1))
    whole = index("i", "a", oid=5, partitioned=True, bytes=0)
    part = index("i1", "a", oid=6, table=2, parent=5)
    assert failed(seen(whole, part, tables=tables, unread=("i",))) == []
    finding = said(findings(seen(whole, part, tables=tables, unread=("i", "i1"))), "unused index")
    assert finding.subject == "app.i"
    assert finding.remedy == 'DROP INDEX "app"."i";'


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"since": NOW - datetime.timedelta(days=3)}, "3 days old"),
        ({"standbys": 1}, "1 standby server(s) stream from here and 0 were given"),
        ({"in_recovery": True}, "replica"),
        ({"nodes": ()}, "No statistics"),
    ],
)
def test_whether_an_index_is_unused_is_not_always_known(change: dict[str, Any], reason: str) -> None:
    finding = said(findings(seen(index("i", "a"), unread=("i",), **change)), "unused index")
    assert finding.status is Status.NOT_TESTED
    assert reason in finding.evidence


def test_the_youngest_statistics_of_all_servers_count() -> None:
    observed = seen(index("i", "a"), unread=("i",), standbys=1)
    young = Node("db2", NOW - datetime.timedelta(days=1))
    finding = said(findings(replace(observed, nodes=(*observed.nodes, young))), "unused index")
    assert finding.status is Status.NOT_TESTED
    assert "of db2 are 1 days old" in finding.evidence


def test_an_index_that_a_foreign_key_or_the_spec_needs_is_not_unused() -> None:
    observed = seen(index("i", "a"), unread=("i",))
    assert failed(replace(observed, foreign_keys=(foreign_key("a"),))) == []
    assert failed(observed, Wanted("app", "t", w("a"))) == []


def test_of_two_equal_indexes_the_one_that_is_read_less_goes() -> None:
    observed = seen(index("first", "a"), index("second", "a"), unread=("first",))
    assert failed(observed) == [("duplicate index", "app.first")]


def test_of_two_equal_indexes_that_of_the_constraint_stays() -> None:
    constraint = index("z_key", "a", unique=True, constraint="z_key")
    observed = seen(constraint, index("own", "a", unique=True), unread=("z_key",))
    found = said(findings(observed), "duplicate index")
    assert (found.subject, found.remedy) == ("app.own", 'DROP INDEX CONCURRENTLY "app"."own";')
    twice = seen(constraint, index("y_key", "a", unique=True, constraint="y_key"))
    assert said(findings(twice), "duplicate index").remedy.startswith('ALTER TABLE "app"."t" DROP CONSTRAINT ')


def test_three_equal_indexes_leave_one() -> None:
    observed = seen(index("i1", "a"), index("i2", "a"), index("i3", "a"))
    assert len(failed(observed)) == 2


def test_two_redundant_to_each_other_leave_one() -> None:
    assert len(failed(seen(index("i1", "a"), index("i2", "a desc")))) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (index("i", "a", unique=True), index("j", "a", "b")),
        (index("i", "a", predicate="(b > 0)"), index("j", "a", "b")),
        (index("i", "a"), index("j", "a", "b", valid=False)),
        (index("i", "a", kept="it is the replica identity"), index("j", "a", "b")),
        (index("i", "a text_pattern_ops"), index("j", "a", "b")),
    ],
)
def test_what_is_not_redundant(one: Index, other: Index) -> None:
    assert not any(title == "redundant index" for title, _subject in failed(seen(one, other)))


def test_a_required_index_is_not_redundant() -> None:
    observed = seen(index("i", "a"), index("j", "a", "b"))
    assert failed(observed) == [("redundant index", "app.i")]
    assert failed(observed, Wanted("app", "t", w("a"))) == []


def test_an_index_that_is_being_built_is_not_invalid() -> None:
    observed = seen(index("i", "a", oid=5, valid=False))
    assert ("invalid index", "app.i") in failed(observed)
    for change in ({"building": frozenset({5})}, {"building": frozenset({1})}, {"building_unseen": 1}):
        assert said(findings(replace(observed, **change)), "invalid index").status is Status.NOT_TESTED


@pytest.mark.parametrize(
    ("name", "change", "remedy"),
    [
        ("i", {}, 'REINDEX INDEX CONCURRENTLY "app"."i";'),
        ("i_ccnew", {}, 'DROP INDEX CONCURRENTLY "app"."i_ccnew";'),
        ("i_ccold1", {}, 'DROP INDEX CONCURRENTLY "app"."i_ccold1";'),
        ("i_ccnew", {"constraint": "i_ccnew"}, 'REINDEX INDEX CONCURRENTLY "app"."i_ccnew";'),
    ],
)
def test_how_an_invalid_index_is_mended(name: str, change: dict[str, Any], remedy: str) -> None:
    observed = seen(index(name, "a", valid=False, **change))
    assert said(findings(observed), "invalid index").remedy == remedy


def test_a_required_index_on_a_partitioned_table_is_built_on_each_partition() -> None:
    tables = (table(kind="p"), table(2, "t1", parent=1))
    finding = said(findings(seen(tables=tables), Wanted("app", "t", w("a"))), "required index")
    assert finding.remedy == (
        'CREATE INDEX "t_a_idx" ON ONLY "app"."t" USING btree ("a"); '
        'CREATE INDEX CONCURRENTLY "t1_a_idx" ON "app"."t1" USING btree ("a"); '
        'ALTER INDEX "app"."t_a_idx" ATTACH PARTITION "app"."t1_a_idx";'
    )


def test_a_required_index_with_everything_is_a_statement() -> None:
    definition = Definition(
        "btree",
        (Key(column='A"b'), Key(expression="lower(b)", opclass="text_pattern_ops", descending=True, collation="C")),
        True,
        ("c",),
        "b <> '{}'",
        True,
    )
    observed = seen(tables=(table(columns={'A"b': "int4", "c": "text"}),))
    finding = said(findings(observed, Wanted("app", "t", definition, "own")), "required index")
    assert finding.remedy == (
        'CREATE UNIQUE INDEX CONCURRENTLY "own" ON "app"."t" USING btree ("A""b", (lower(b)) COLLATE "C" '
        '"text_pattern_ops" DESC NULLS LAST) INCLUDE ("c") NULLS NOT DISTINCT WHERE (b <> \'{}\');'
    )


def test_a_foreign_key_without_index_is_worse_on_a_large_table() -> None:
    observed = seen(foreign_keys=(foreign_key("a"),))
    assert said(findings(observed), "foreign key without index").severity is Severity.HIGH
    small = replace(observed, tables={1: table(rows=10)})
    assert said(findings(small), "foreign key without index").severity is Severity.MEDIUM


@pytest.mark.parametrize(
    ("change", "is_finding"),
    [
        ({"seq_scans": 500, "seq_rows": 500 * 50_000, "index_scans": 100}, True),
        ({"seq_scans": 50, "seq_rows": 50 * 50_000}, False),
        ({"seq_scans": 500, "seq_rows": 500 * 50_000, "index_scans": 100_000}, False),
        ({"seq_scans": 500, "seq_rows": 500 * 3}, False),  # a LIMIT that is soon reached
        ({"seq_scans": 500, "seq_rows": 500 * 50_000, "rows": 100}, False),
    ],
)
def test_sequential_scans(change: dict[str, Any], is_finding: bool) -> None:
    assert (("sequential scans", "app.t") in failed(seen(tables=(table(**change),)))) is is_finding


@pytest.mark.parametrize(
    ("statistics", "change", "is_finding"),
    [
        (ColumnStatistics(0, 4, 3, 0.3), {}, True),
        (ColumnStatistics(0, 4, 3, 0.001), {}, False),  # it is there for the rare value
        (ColumnStatistics(0.99, 4, 3, 0.3), {}, False),
        (ColumnStatistics(0, 4, 300, 0.3), {}, False),
        (ColumnStatistics(0, 4, -1, 0.0), {}, False),
        (ColumnStatistics(0, 4, 3, 0.3), {"predicate": "(b > 0)"}, False),
        (ColumnStatistics(0, 4, 3, 0.3), {"unique": True}, False),
    ],
)
def test_low_cardinality(statistics: ColumnStatistics, change: dict[str, Any], is_finding: bool) -> None:
    observed = seen(index("i", "a", **change), statistics={("app", "t", "a"): statistics})
    assert (("low cardinality", "app.i") in failed(observed)) is is_finding
    assert ("low cardinality", "app.i") not in failed(observed, Wanted("app", "t", w("a")))


@pytest.mark.parametrize(
    ("tuples", "pages", "is_finding"),
    [
        (1_000_000, 2745, False),  # as PostgreSQL builds it: 22 MB
        (1_000_000, 4500, False),
        (1_000_000, 30_000, True),
        (1_000_000, 6_000, False),  # little in bytes
        (-1, 30_000, False),
    ],
)
def test_bloat(tuples: int, pages: int, is_finding: bool) -> None:
    swollen = index("i", "a", tuples=tuples, pages=pages, bytes=pages * 8192)
    observed = seen(swollen, statistics={("app", "t", "a"): ColumnStatistics(0, 4, -1, 0.0)})
    assert (("bloat", "app.i") in failed(observed)) is is_finding


@pytest.mark.parametrize(
    ("statements", "status"),
    [
        (("SELECT * FROM app.t WHERE d @> $1",), Status.FAIL),
        (('SELECT * FROM "app"."t" AS x WHERE x."d" ? $1',), Status.FAIL),
        (("SELECT * FROM t WHERE t.d @? $1",), Status.FAIL),
        (("SELECT d ->> $1 FROM t WHERE a = $2",), Status.PASS),
        (("SELECT * FROM other WHERE d @> $1",), Status.PASS),
        ((), Status.PASS),
        (None, Status.NOT_TESTED),
    ],
)
def test_jsonb_that_is_searched(statements: tuple[str, ...] | None, status: Status) -> None:
    assert said(findings(seen(statements=statements)), "JSONB without GIN").status is status


def test_jsonb_with_gin_and_without_jsonb() -> None:
    with_gin = seen(index("i", "d", method="gin"), statements=("SELECT FROM t WHERE d @> $1",))
    assert said(findings(with_gin), "JSONB without GIN").status is Status.PASS
    without = seen(tables=(table(columns={"a": "int4"}),))
    assert said(findings(without), "JSONB without GIN").status is Status.NOT_APPLICABLE
    declared = Wanted("app", "t", w("d", method="gin"), control="P-2")
    assert ("JSONB without GIN", "app.t: gin (d)") in failed(seen(), declared)
