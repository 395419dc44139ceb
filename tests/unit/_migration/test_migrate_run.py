# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is pending, what the gate lets through, what is refused as input, and the record."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._migration import record
from ansible_collections.dbops.postgres.plugins.module_utils._migration.history import History, Row, pending
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_gate import not_due, refusals
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_look import worse
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_spec import spec_from
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_state import Flight, State, Store
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import Source, arrange
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

NOW = datetime.datetime(2026, 11, 25, tzinfo=datetime.UTC)
DAY = 86400


def source(*names: str, text: str = "SELECT 1;") -> Source:
    return arrange({name: text.encode() for name in names})


def open_ones(of: Source, *rows: Row) -> list[str]:
    return [migration.id for migration in pending(of, History(of.layout, ("public", "t"), rows))]


def test_pending() -> None:
    plain = source("1_a.sql", "2_b.sql", "3_c.sql")
    one, two, _three = (Row(m.id, m.checksum) for m in plain.migrations)
    assert open_ones(plain) == ["1_a", "2_b", "3_c"]
    assert open_ones(plain, one) == ["2_b", "3_c"]
    assert open_ones(plain, two) == ["1_a", "3_c"], "one that was merged late"
    golang = source("01_a.up.sql", "02_b.up.sql", "03_c.up.sql")
    assert open_ones(golang, Row("2", below=True)) == ["3"]
    assert open_ones(golang, Row("2", below=True, done=False)) == ["2", "3"], "dirty"
    flyway = source("V1__a.sql", "V2__b.sql", "V3__c.sql")
    assert open_ones(flyway, Row("2", below=True)) == ["3"], "its baseline"
    assert open_ones(flyway, Row("1.5", below=True)) == ["1", "2", "3"]


def test_a_repeatable_one_runs_again_when_its_text_has_changed() -> None:
    flyway = source("V1__a.sql", "R__view.sql")
    first, view = (Row(m.id, m.checksum) for m in flyway.migrations)
    assert open_ones(flyway, first, view) == []
    assert open_ones(flyway, first, Row(view.id, "0")) == [view.id]


def test_files_that_are_not_those_that_were_applied() -> None:
    plain = source("1_a.sql", "2_b.sql")
    with pytest.raises(
        DbopsError, match=r"1_a.sql was changed after it had been applied; 9_z is applied, and its file"
    ):
        open_ones(plain, Row("1_a", "0" * 64), Row("9_z", "0"))


def finding(**given: Any) -> dict[str, Any]:
    return {"subject": "m/1_a.sql:1", "rule": "r", "severity": "high", "status": "fail", **given}


def test_what_the_lint_refuses() -> None:
    assert refusals({"passed": True}) == []
    assert refusals({"passed": False}) != []
    assert refusals({"findings": [finding()]}) == ["m/1_a.sql:1: r"]
    assert refusals({"findings": [finding(status="error", severity="critical")]}) != []
    for harmless in ({"severity": "medium"}, {"status": "waived"}, {"status": "pass"}, {"status": "not_tested"}):
        assert refusals({"findings": [finding(**harmless)]}) == []


def due(days: float | None, queries: list[str] | None, text: str = "-- dbops: contracts 1_a\nSELECT 1;") -> list[str]:
    files = arrange({"1_a.sql": b"SELECT 1;", "2_b.sql": text.encode()})
    first = files.migrations[0]
    rows = () if days is None else (Row("1_a", first.checksum, NOW.timestamp() - days * DAY),)
    step = finding(**{"class": "contract", "status": "not_tested", "file": "x/2_b.sql", "gone": ["orders", "note"]})
    return not_due({"findings": [step]}, files, History("plain", ("dbops", "t"), rows), lambda: queries, NOW, 7)


def test_a_contract_step() -> None:
    assert due(8, []) == []
    assert due(8, ["SELECT id FROM orders"]) == []
    assert "still shows a query" in due(8, ["SELECT note FROM orders"])[0]
    assert "still shows a query" in due(8, ["SELECT * FROM orders"])[0]
    assert "live for 6 of 7 days" in due(6.5, [])[0]
    assert "is not live yet" in due(None, [])[0]
    assert due(8, None) != [], "nobody has looked"
    assert "does not say" in due(8, [], "SELECT 1;")[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"database": ""}, "No database"),
        ({"without_backup": "yes"}, "I have another way back"),
        ({"layout": "command"}, "needs a command"),
        ({"command": ["x"]}, "needs a command"),
        ({"lock_limits": {"AccessShareLock": 1}}, "no mode that blocks"),
        ({"lock_limits": {"ShareLock": "long"}}, "Give seconds"),
        ({"attempts": 0}, "attempts is 0"),
        ({"plan_factor": 0.5}, "plan_factor"),
        ({"smoke": [{"name": "a", "query": "SELECT 1"}]}, "incomplete"),
    ],
)
def test_input_that_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(DbopsError, match=said):
        spec_from({"database": "shop", **given})


def test_spec() -> None:
    spec = spec_from({"database": "shop", "lock_limits": {"ShareLock": 1}, "smoke": [
        {"name": "a", "query": "SELECT true", "expect": True}
    ]})  # fmt: skip
    assert (spec.lock_limits["ShareLock"], spec.lock_limits["AccessExclusiveLock"]) == (1, 10)
    assert spec.smoke[0].expect == "true"


def test_worse() -> None:
    assert worse({"a": 10, "b": 10}, {"a": 15, "b": 10}, 1.5, ["a", "b"]) == []
    assert worse({"a": 10}, {"a": 15.1}, 1.5, ["a"]) == ["plan of a: its cost is 15, before it was 10 (at most 1.5 x)"]
    assert worse({"a": 10}, {}, 1.5, ["a"]) == ["plan of a: could be planned before, and cannot now"]
    assert worse({}, {"a": 10}, 1.5, ["a"]) == []


def test_state(tmp_path: Path) -> None:
    store = Store("odd/../name", str(tmp_path / "migrate"))
    assert store.load() is None
    state = State("id", "odd/../name", set="s", texts={"1": "x"}, applied=("1",), flight=Flight("2", 1, "77"))
    store.save(state)
    assert store.load() == state
    assert [path.name for path in (tmp_path / "migrate").iterdir()] == ["odd%2f%2e%2e%2fname.json"]
    assert Path(store.path).stat().st_mode & 0o777 == 0o600
    Path(store.path).write_text("{")
    with pytest.raises(DbopsError, match="cannot be read"):
        store.load()
    store.clear()
    assert store.load() is None


def test_record() -> None:
    made = record.Record("id", "shop", "db1", "ann", "2026-11-25T21:00:00Z", verdict="as before", words="It failed.")
    made.failed_stage = "apply"
    made.stages = [record.Stage("apply", "failed", 1.0, "", ("002.sql:3: a | b",))]
    made.statements = [
        {
            "file": "1.sql",
            "line": 1,
            "statement": "ALTER TABLE t",
            "seconds": 0.1,
            "rows": -1,
            "rewritten": ["public.t"],
            "locks": [("AccessExclusiveLock", "public.t"), ("AccessShareLock", "public.u")],
        }
    ]
    assert (made.passed, made.exit_status) == (False, 17)
    text = record.to_markdown(made)
    assert "# Migration of shop: as before" in text
    assert "| apply | failed | 1.0 | 002.sql:3: a \\| b |" in text
    assert "| 1.sql:1 | 0.100 |  | AccessExclusiveLock public.t | public.t | `ALTER TABLE t` |" in text
    assert json.loads(record.to_json(made))["passed"] is False
    assert [record.Record("i", "d", "h", "w", "s", failed_stage=name).exit_status for name in record.STAGES] == list(
        range(11, 20)
    )
