# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of drills: what cannot be meant is refused with its name."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_spec import (
    DrillSpec,
    Newest,
    Smoke,
    drill_from,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError


def test_nothing_declared_is_the_default() -> None:
    assert drill_from({}) == DrillSpec()


def test_everything_declared() -> None:
    found = drill_from(
        {
            "scratch": "/srv/drill",
            "receipts": "/srv/receipts",
            "jobs": 4,
            "max_age_hours": 12.5,
            "rto_target_minutes": 30,
            "every_days": 31,
            "smoke": [{"name": "users", "database": "auth_db", "query": "SELECT count(*) > 0 FROM users"}],
            "newest": [{"database": "a", "table": "public.t", "column": "c", "max_age_hours": 24}],
            "settings": {"shared_buffers": "1GB", "jit": True},
            "query_timeout_seconds": 5,
            "keep_receipts": 7,
        }
    )
    assert found.smoke == (Smoke("users", "auth_db", "SELECT count(*) > 0 FROM users", "true"),)
    assert found.newest == (Newest("a", "public.t", "c", 24.0),)
    assert found.settings == (("jit", "on"), ("shared_buffers", "1GB"))
    assert (found.scratch, found.jobs, found.max_age_hours) == ("/srv/drill", 4, 12.5)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"scratsh": "/x"}, "unknown key 'scratsh'"),
        ({"scratch": "relative"}, "scratch is 'relative'"),
        ({"scratch": "/"}, "scratch is '/'"),
        ({"scratch": "/srv/../etc"}, "scratch is"),
        ({"scratch": "/srv/a b"}, "scratch is"),
        ({"scratch": "/" + "x" * 80}, "81 bytes long"),
        ({"scratch": 7}, "scratch is 7"),
        ({"scratch": "/a", "receipts": "/a/receipts"}, "receipts lies in scratch"),
        ({"jobs": 0}, "jobs is 0"),
        ({"jobs": 1.5}, "jobs is 1.5"),
        ({"jobs": True}, "jobs is True"),
        ({"jobs": "2"}, "jobs is '2'"),
        ({"max_age_hours": 0}, "max_age_hours is 0"),
        ({"every_days": -1}, "every_days is -1"),
        ({"rto_target_minutes": -1}, "rto_target_minutes is negative"),
        ({"smoke": [{"database": "a"}]}, "smoke query 1 has no query"),
        ({"smoke": [{"database": "a", "query": "b", "sql": "c"}]}, "unknown key 'sql'"),
        ({"newest": [{"database": "a", "table": "t", "column": "c", "max_age_hours": 1}]}, "has no schema"),
        ({"newest": [{"database": "a", "table": "s.t", "column": "c", "max_age_hours": "x"}]}, "is 'x'"),
        ({"newest": [{"database": "a", "table": "s.t", "column": "c", "max_age_hours": -1}]}, "is -1"),
        ({"settings": {"listen_addresses": "*"}}, "settings has listen_addresses"),
        ({"settings": {"Archive_Mode": "on"}}, "settings has Archive_Mode"),
        ({"settings": {"a b": "on"}}, "no setting"),
        ({"settings": {"work_mem": "1\nport = 1"}}, "no setting"),
    ],
)
def test_what_cannot_be_meant(data: dict[str, Any], said: str) -> None:
    with pytest.raises(DbopsError) as error:
        drill_from(data)
    assert said in str(error.value)
    assert "Nothing was changed." in str(error.value)
