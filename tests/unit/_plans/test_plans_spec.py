# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section plans of a spec file."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._plans.spec import Generate, Limits, parse
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError

GOOD: dict[str, Any] = {"name": "q", "sql": "SELECT 1"}


def test_a_query_with_everything() -> None:
    query = parse(
        {
            "defaults": {"max_cost": 100, "max_ms": 5},
            "queries": [
                {
                    "name": "q",
                    "sql": "SELECT $1;",
                    "parameters": [1, "x", None, True],
                    "generic": True,
                    "role": "app",
                    "settings": {"app.tenant_id": 7, "enable_seqscan": False},
                    "must_use_index": "i",
                    "max_ms": 7.5,
                }
            ],
        }
    ).queries[0]
    assert query.sql == "SELECT $1"
    assert query.parameters == (1, "x", None, True)
    assert query.settings == (("app.tenant_id", "7"), ("enable_seqscan", "off"))
    assert query.limits == Limits(("i",), max_cost=100, max_ms=7.5)
    assert (query.role, query.generic) == ("app", True)


def test_a_query_without_limits_has_one() -> None:
    assert parse({"queries": [GOOD]}).queries[0].limits == Limits(no_seq_scan_over_rows=10_000)


def test_rows_to_generate() -> None:
    generate = parse({"generate": {"rows": {"t": 5, "app.u": 6}, "distinct": {"app.u.c": 2}}}).generate
    assert generate == Generate({("public", "t"): 5, ("app", "u"): 6}, {("app", "u", "c"): 2})


@pytest.mark.parametrize(
    ("section", "where"),
    [
        ({"querys": []}, ("querys",)),
        ({"queries": {}}, ("queries",)),
        ({"queries": ["SELECT 1"]}, ("queries", 0)),
        ({"queries": [{**GOOD, "limit": 1}]}, ("queries", 0, "limit")),
        ({"queries": [{"name": "q"}]}, ("queries", 0)),
        ({"queries": [{**GOOD, "file": "f"}]}, ("queries", 0)),
        ({"queries": [{"sql": "SELECT 1"}]}, ("queries", 0, "name")),
        ({"queries": [GOOD, GOOD]}, ("queries", 1, "name")),
        ({"queries": [{**GOOD, "sql": "SELECT 1; COMMIT"}]}, ("queries", 0, "sql")),
        ({"queries": [{**GOOD, "parameters": 1}]}, ("queries", 0, "parameters")),
        ({"queries": [{**GOOD, "parameters": [[1]]}]}, ("queries", 0, "parameters")),
        ({"queries": [{**GOOD, "generic": True}]}, ("queries", 0, "generic")),
        ({"queries": [{**GOOD, "settings": {"a b": 1}}]}, ("queries", 0, "settings", "a b")),
        ({"queries": [{**GOOD, "settings": {"a": [1]}}]}, ("queries", 0, "settings", "a")),
        ({"queries": [{**GOOD, "max_ms": "fast"}]}, ("queries", 0, "max_ms")),
        ({"queries": [{**GOOD, "max_ms": True}]}, ("queries", 0, "max_ms")),
        ({"queries": [{**GOOD, "max_rows_removed": 1.5}]}, ("queries", 0, "max_rows_removed")),
        ({"queries": [{**GOOD, "max_estimate_factor": 0.5}]}, ("queries", 0, "max_estimate_factor")),
        ({"queries": [{**GOOD, "must_use_index": []}]}, ("queries", 0, "must_use_index")),
        ({"queries": [{**GOOD, "must_use_index": True}]}, ("queries", 0, "must_use_index")),
        ({"defaults": {"must_use_index": "i"}}, ("defaults", "must_use_index")),
        ({"generate": {}}, ("generate", "rows")),
        ({"generate": {"rows": {"a.b.c": 1}}}, ("generate", "rows", "a.b.c")),
        ({"generate": {"rows": {"a": 0}}}, ("generate", "rows", "a")),
        ({"generate": {"rows": {"a": 1}, "distinct": {"b.c": 1}}}, ("generate", "distinct", "b.c")),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(section: dict[str, Any], where: tuple[Any, ...]) -> None:
    with pytest.raises(SpecError) as raised:
        parse(section)
    assert raised.value.where == ("plans", *where)
