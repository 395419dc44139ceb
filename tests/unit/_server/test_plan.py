# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be done: one row per case."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._server.plan import (
    CHECKSUMS,
    UNIT,
    plan,
    restart_candidates,
    texts,
)
from ansible_collections.dbops.postgres.plugins.module_utils._server.spec import ServerSpec
from ansible_collections.dbops.postgres.plugins.module_utils._server.state import File, LiveSetting, Observed, managed
from tests.unit._server.helpers import RULE, live, make, observed

MAX_CONNECTIONS = {"max_connections": LiveSetting("100", "postmaster", False, "")}
CONF, HBA, IDENT, DROP_IN = managed(make())


def converged(spec: ServerSpec, **changes: Any) -> Observed:
    return observed(spec, texts(spec, observed(spec)), **changes)


def test_nothing_to_do() -> None:
    result = plan(make(), converged(make()), {})
    assert not result.changed
    assert result.actions() == []
    assert result.diff() == []


def test_a_fresh_host_is_started_and_never_restarted() -> None:
    result = plan(make(), observed(make(), exists=False, running=False, live=None, checksums=None), {})
    assert result.actions() == [
        f"write {CONF}",
        f"write {HBA}",
        f"write {IDENT}",
        f"write {DROP_IN}",
        "start",
        "create extension pgaudit in postgres",
    ]
    assert not result.restarts


def test_a_setting_that_needs_no_restart_is_reloaded() -> None:
    result = plan(make(settings={"work_mem": "4MB"}), converged(make()), {})
    assert result.actions() == [f"write {CONF}", "reload"]


def test_a_setting_that_needs_a_restart_gets_one() -> None:
    spec = make(max_connections=200)
    state = converged(make(), live=live(MAX_CONNECTIONS))
    assert restart_candidates(spec, state) == ("max_connections",)
    result = plan(spec, state, {"max_connections": "200"})
    assert result.actions() == [f"write {CONF}", "reload", "restart: max_connections"]


def test_another_spelling_of_the_same_value_needs_none() -> None:
    result = plan(make(max_connections=200), converged(make(), live=live(MAX_CONNECTIONS)), {"max_connections": "100"})
    assert not result.restarts


def test_restart_never_reports() -> None:
    spec = make(max_connections=200, restart="never")
    result = plan(spec, converged(make(), live=live(MAX_CONNECTIONS)), {"max_connections": "200"})
    assert result.restart == ("max_connections",)
    assert not result.restarts
    assert result.actions() == [f"write {CONF}", "reload"]


def test_what_is_pending_from_before_is_restarted_for() -> None:
    pending = {"max_connections": LiveSetting("100", "postmaster", True, "")}
    assert plan(make(), converged(make(), live=live(pending)), {}).actions() == ["restart: max_connections"]


def test_an_interrupted_run_is_finished() -> None:
    """The files were written, the process was killed before the reload: their time is later than the server's."""
    assert plan(make(), converged(make(), changed_at={HBA: 1001.0}), {}).actions() == ["reload"]
    assert plan(make(), converged(make(), changed_at={DROP_IN: 901.0}), {}).actions() == [f"restart: {UNIT}"]


def test_a_renewed_certificate_is_reloaded() -> None:
    assert plan(make(), converged(make(), changed_at={"/tls/server.crt": 1001.0}), {}).actions() == ["reload"]


@pytest.mark.parametrize("wrong", [{"mode": 0o644}, {"owner": "root"}])
def test_a_file_with_the_right_text_and_wrong_permissions_is_written(wrong: dict[str, Any]) -> None:
    state = converged(make())
    files = {**state.files, HBA: dataclasses.replace(state.files[HBA], **wrong)}
    result = plan(make(), dataclasses.replace(state, files=files), {})
    assert result.actions() == [f"write {HBA}", "reload"]


def test_an_extension_that_is_missing_is_created() -> None:
    result = plan(make(), converged(make(), live=live(extensions=frozenset())), {})
    assert result.actions() == ["create extension pgaudit in postgres"]


def test_an_extension_in_an_unknown_database_is_refused() -> None:
    with pytest.raises(DbopsError, match="'shop', which is not there"):
        plan(make(extensions={"shop": ["pgaudit"]}), converged(make()), {})


def test_a_rule_for_any_superuser_is_refused() -> None:
    spec = make(access_rules=[{**RULE, "users": ["boss"]}])
    with pytest.raises(DbopsError, match="superuser 'boss'"):
        plan(spec, converged(make(), live=live(superusers=("boss", "postgres"))), {})


@pytest.mark.parametrize(
    ("checksums", "actions", "warned"),
    [("warn", [], True), ("ignore", [], False), ("enable", [f"restart: {CHECKSUMS}"], False)],
)
def test_a_cluster_without_checksums(checksums: str, actions: list[str], warned: bool) -> None:
    result = plan(make(checksums=checksums), converged(make(), checksums=False), {})
    assert result.actions() == actions
    assert bool(result.warnings) is warned


def test_checksums_can_be_required() -> None:
    with pytest.raises(DbopsError, match="no data checksums"):
        plan(make(checksums="require"), converged(make(), checksums=False), {})


@pytest.mark.parametrize(
    ("source", "warned"),
    [
        (CONF, False),
        ("/etc/postgresql/17/main/postgresql.conf", False),
        ("/etc/postgresql/17/main/conf.d/05-earlier.conf", False),
        ("/etc/postgresql/17/main/conf.d/50-later.conf", True),
        ("/var/lib/postgresql/17/main/postgresql.auto.conf", True),
    ],
)
def test_an_override_is_said(source: str, warned: bool) -> None:
    row = {"work_mem": LiveSetting("4096", "user", False, source)}
    assert bool(plan(make(), converged(make(), live=live(row)), {}).warnings) is warned


def test_a_dry_run_without_psycopg2_says_that_it_is_blind() -> None:
    result = plan(make(), observed(make(), {HBA: "old\n"}, live=None), {})
    assert not result.start
    assert "was not asked" in result.warnings[0]
    assert f"restart: {UNIT}" in result.actions()


def test_tablespaces_stay_writable_and_nested_paths_are_said_once() -> None:
    state = observed(make(), tablespaces=("/srv/fast", "/var/lib/postgresql/ts"))
    text = texts(make(write_paths=["/srv/archive"]), state)[DROP_IN]
    assert [line for line in text.splitlines() if line.startswith("ReadWritePaths")] == [
        "ReadWritePaths=-/run/postgresql",
        "ReadWritePaths=-/srv/archive",
        "ReadWritePaths=-/srv/fast",
        "ReadWritePaths=-/var/lib/postgresql",
        "ReadWritePaths=-/var/log/postgresql",
    ]


def test_the_diff_shows_the_files_and_the_rest() -> None:
    state = converged(make())
    files = {**state.files, HBA: File("old\n", 0o640, "postgres")}
    diff = plan(make(), dataclasses.replace(state, files=files), {}).diff()
    assert [entry["before_header"] for entry in diff] == [HBA, "server"]
    assert diff[0]["before"] == "old\n"
    assert diff[1]["after"] == "reload\n"
