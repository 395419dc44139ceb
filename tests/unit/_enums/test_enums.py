# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, refusals, statements and files of the migrations to a lookup table, and the judge of ENUMs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._enums import files
from ansible_collections.dbops.postgres.plugins.module_utils._enums.generate import scripts
from ansible_collections.dbops.postgres.plugins.module_utils._enums.judge import EnumType, judge, unused
from ansible_collections.dbops.postgres.plugins.module_utils._enums.spec import (
    Column,
    Index,
    check_request,
    fitted,
    names,
    refusals,
    refuse,
)
from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError, Sql

COLUMN = Column(
    *("public", "orders", "status", "r", False, False, False, "public", "order_status", "e", ("new", "paid")),
    not_null=True,
    default="new",
    default_expression="'new'::order_status",
)
INDEX = Index("orders_status_idx", "btree", False, False, ("status", "id"), 1, (3,), "", "CREATE INDEX x")
REQUEST: dict[str, Any] = {
    "schema": "public",
    "table": "orders",
    "column": "status",
    "lookup_table": None,
    "key_column": None,
    "version": 1,
    "batch_pages": 200,
}


def shown(sql: Sql) -> str:
    """Without a connection: identifiers are all that is quoted here."""
    text: str = sql.template
    for argument in sql.args:
        part = shown(argument) if isinstance(argument, Sql) else str(argument)
        text = text.replace("{}", part, 1)
    return text


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("table", "x" * 64, "is no name"),
        ("column", "a$dbops$b", "is no name"),
        ("key_column", "status", "is the column itself"),
        ("version", 0, "version is 0"),
        ("batch_pages", 0, "batch_pages is 0"),
    ],
)
def test_wrong_requests(option: str, value: Any, said: str) -> None:
    check_request(REQUEST)
    with pytest.raises(DbopsError, match=said):
        check_request({**REQUEST, option: value})


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=90))
def test_names_fit(name: str) -> None:
    assert len(fitted(name).encode()) <= 63
    assert fitted(name) == name or fitted(name) != fitted(name + "x")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "p"}, "a partitioned table"),
        ({"kind": "v"}, "a view"),
        ({"type_kind": "array"}, "an array of order_status"),
        ({"type_kind": "b"}, "is no ENUM"),
        ({"inherits": True}, "parents, children"),
        ({"generated": True}, "generated column"),
        ({"own_privileges": True}, "privileges on the column"),
        ({"default": None}, "its default is an expression"),
        ({"labels": ("a$dbops$",)}, "holds \\$dbops\\$"),
        ({"indexes": (replace(INDEX, special="it is invalid"),)}, "index orders_status_idx: it is invalid"),
        ({"dependents": ("rule _RETURN on view v",)}, "view v depends on it"),
        ({"later_triggers": ("zzz",)}, "trigger zzz fires later"),
        ({"taken": ("table order_status_lookup",)}, "is there already"),
    ],
)
def test_refusals(change: dict[str, Any], said: str) -> None:
    assert refusals(COLUMN) == []
    refuse(COLUMN, drop_type=True)
    with pytest.raises(DbopsError, match=said):
        refuse(replace(COLUMN, **change), drop_type=False)


def test_a_type_that_others_use_is_not_dropped() -> None:
    used = replace(COLUMN, type_users=("column state of table other",))
    refuse(used, drop_type=False)
    with pytest.raises(DbopsError, match="the type is used by column state of table other"):
        refuse(used, drop_type=True)


def test_expand_takes_nothing_away() -> None:
    steps = scripts(replace(COLUMN, indexes=(INDEX,)), names("orders", "status", "order_status"), 200, drop_type=True)
    assert [step.phase for step in steps] == ["expand"] * 4 + ["contract"]
    for step in steps[:-1]:
        assert not any("DROP" in sql.template for sql in step.up)
        assert step.in_transaction or len(step.up) == 1
    assert "DESC" in shown(steps[2].up[0])
    assert any("DROP TYPE" in sql.template for sql in steps[-1].up)
    assert any("CREATE TYPE" in sql.template for sql in steps[-1].down)
    kept = scripts(COLUMN, names("orders", "status", "order_status"), 200, drop_type=False)
    assert not any("TYPE" in sql.template.split("(")[0] for sql in kept[-1].up)


@pytest.mark.parametrize("layout", files.LAYOUTS)
def test_the_contract_says_what_it_contracts(layout: str) -> None:
    steps = scripts(replace(COLUMN, indexes=(INDEX,)), names("orders", "status", "order_status"), 200, drop_type=False)
    written = files.files(steps, layout, 7, shown)
    ((_phase, name, text),) = [item for item in written if "contracts" in item[2]]
    assert text.startswith(
        "-- dbops: contracts "
        + {"plain": "0010_orders_status_validate", "prisma": "10_orders_status_validate"}.get(layout, "10")
        + "\n"
    )
    assert "11" in name
    marks = sum("-- dbops: no-transaction" in text for _phase, _name, text in written)
    configured = [name for _phase, name, _text in written if name.endswith(".conf")]
    assert (marks, len(configured)) == {"plain": (3, 0), "flyway": (0, 3)}.get(layout, (0, 0))


def test_files_are_written_once(tmp_path: Path) -> None:
    wanted = {str(tmp_path / "a" / "1.sql"): "x\n"}
    assert files.existing(list(wanted)) == {str(tmp_path / "a" / "1.sql"): None}
    files.write(wanted)
    there = files.existing(list(wanted))
    assert there == wanted
    files.refuse_others(there, wanted, force=False)
    with pytest.raises(DbopsError, match="says something else"):
        files.refuse_others(there, dict.fromkeys(wanted, "y"), force=False)
    files.refuse_others(there, dict.fromkeys(wanted, "y"), force=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(DbopsError, match="Cannot write"):
        files.write({str(tmp_path / "file" / "1.sql"): ""})


USED = EnumType("public", "order_status", ("a", "b", "c", "d", "e", "f"), (("public", "orders", "status"),))
FREE = EnumType("shop", "lonely", ("a",), ())


@pytest.mark.parametrize(
    ("allowed", "statuses"),
    [
        ([], ["fail", "fail"]),
        (["order_status"], ["pass", "fail"]),
        (["public.*"], ["pass", "fail"]),
        (["shop.order_status"], ["fail", "fail"]),
        (["*"], ["pass", "pass"]),
    ],
)
def test_judge(allowed: list[str], statuses: list[str]) -> None:
    findings = judge([USED, FREE], allowed, "shop_db")
    assert [finding.status.value for finding in findings] == statuses
    for finding in findings:
        assert bool(finding.remedy) == (finding.status is Status.FAIL)
    assert unused([USED], [*allowed, "nothing"])[-1] == "nothing"


def test_judge_says_where_and_what_to_do() -> None:
    used, free = judge([USED, FREE], [], "shop_db")
    assert used.evidence == "6 values (a, b, c, d, e, ...); used by public.orders.status"
    assert "login_db=shop_db schema=public table=orders column=status" in used.remedy
    assert "DROP TYPE shop.lonely" in free.remedy
    (nothing,) = judge([], [], "shop_db")
    assert nothing.status is Status.PASS
