# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of server_config: the old state stays whole until the new one is proven."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

testinfra_hosts = ["ansible://debian*"]

Psql = Callable[..., str]


@pytest.fixture
def configure(host: Host, version: int) -> Callable[..., dict[str, Any]]:
    """Run the module with a few parameters; without any it brings the usual state back."""

    def run(check: bool = False, **parameters: Any) -> dict[str, Any]:
        tls = {name: f"/etc/dbops-postgres/tls/{file}" for name, file in FILES.items()}
        usual = {"version": version, "environment": "stage", "tls": tls}
        result: dict[str, Any] = host.ansible(
            "dbops.postgres.server_config", json.dumps({**usual, **parameters}), check=check
        )
        return result

    return run


FILES = {"certificate": "server.crt", "key": "server.key", "ca": "ca.crt"}


def state(host: Host, version: int, psql: Psql) -> tuple[str, str]:
    files = f"/etc/postgresql/{version}/main/conf.d/10-dbops.conf /etc/postgresql/{version}/main/pg_hba.conf"
    return host.check_output(f"cat {files}"), psql("SELECT pg_postmaster_start_time()")


@pytest.fixture(autouse=True)
def usual(configure: Callable[..., dict[str, Any]]) -> None:
    assert "msg" not in configure()


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"work_memm": "4MB"}, 'unrecognized configuration parameter "work_memm"'),
        ({"work_mem": "banana"}, 'invalid value for parameter "work_mem"'),
        ({"wal_level": "minimal", "max_wal_senders": "x"}, "max_wal_senders"),
    ],
)
def test_a_setting_that_postgresql_refuses(
    host: Host, version: int, psql: Psql, configure: Any, settings: dict[str, str], said: str, check: bool
) -> None:
    before = state(host, version, psql)
    result = configure(check=check, settings=settings)
    assert said in result["msg"]
    assert "were not touched" in result["msg"]
    assert state(host, version, psql) == before


def test_a_setting_that_only_its_library_refuses(host: Host, version: int, psql: Psql, configure: Any) -> None:
    before = state(host, version, psql)
    result = configure(pgaudit_log="banana")
    assert "pgaudit.log" in result["msg"]
    assert "The previous configuration was put back; the server runs with it." in result["msg"]
    assert state(host, version, psql) == before
    assert psql("SHOW pgaudit.log") == "ddl, role"


def test_a_library_that_is_not_there(host: Host, version: int, psql: Psql, configure: Any) -> None:
    before = state(host, version, psql)
    assert "no_such_library" in configure(preload_libraries=["no_such_library"])["msg"]
    assert state(host, version, psql) == before


def test_a_server_that_does_not_start_again(host: Host, version: int, psql: Psql, configure: Any) -> None:
    before = state(host, version, psql)
    result = configure(settings={"shared_buffers": "8000GB"})
    assert "does not restart with the new configuration" in result["msg"]
    assert "could not map anonymous shared memory" in result["msg"]
    assert "The previous configuration was put back; the server runs with it." in result["msg"]
    after = state(host, version, psql)
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_a_rule_for_another_superuser(host: Host, version: int, psql: Psql, configure: Any) -> None:
    before = state(host, version, psql)
    psql("CREATE ROLE boss SUPERUSER LOGIN")
    rule = {"databases": ["shop"], "users": ["boss"], "addresses": ["10.0.0.0/8"]}
    try:
        assert "superuser 'boss'" in configure(access_rules=[rule])["msg"]
    finally:
        psql("DROP ROLE boss")
    assert state(host, version, psql) == before


def test_restart_never_reports_and_when_required_restarts_once(
    host: Host, version: int, psql: Psql, configure: Any
) -> None:
    started = state(host, version, psql)[1]
    for changed in (True, False):
        result = configure(max_connections=120, restart="never")
        assert (result["changed"], result["restarted"]) == (changed, False)
        assert result["pending_restart"] == ["max_connections"]
    assert psql("SHOW max_connections") == "100"
    assert state(host, version, psql)[1] == started

    predicted = configure(check=True, max_connections=120)
    assert predicted["actions"] == ["restart: max_connections"]
    done = configure(max_connections=120)
    assert (done["actions"], done["restarted"], done["pending_restart"]) == (predicted["actions"], True, [])
    assert psql("SHOW max_connections") == "120"
    restarted = state(host, version, psql)[1]
    assert restarted != started
    assert not configure(max_connections=120)["changed"]
    assert state(host, version, psql)[1] == restarted


def test_check_mode_says_what_the_run_then_does(host: Host, version: int, psql: Psql, configure: Any) -> None:
    before = state(host, version, psql)
    parameters = {"settings": {"work_mem": "7MB", "max_wal_senders": 5}, "max_connections": 90}
    predicted = configure(check=True, **parameters)
    assert state(host, version, psql) == before
    done = configure(**parameters)
    assert done["actions"] == predicted["actions"]
    assert done["actions"][-1] == "restart: max_connections, max_wal_senders"


def test_permissions_that_somebody_widened_are_mended(host: Host, version: int, configure: Any) -> None:
    path = f"/etc/postgresql/{version}/main/pg_hba.conf"
    host.check_output(f"chmod 0644 {path}")
    assert configure()["actions"] == [f"write {path}", "reload"]
    assert host.file(path).mode == 0o640


def test_a_renewed_certificate_is_loaded(host: Host, configure: Any) -> None:
    host.check_output("touch /etc/dbops-postgres/tls/server.crt")
    assert configure()["actions"] == ["reload"]
    assert not configure()["changed"]


def test_what_alter_system_overrides_is_said(psql: Psql, configure: Any) -> None:
    psql("ALTER SYSTEM SET work_mem = '3MB'")
    psql("SELECT pg_reload_conf(), pg_sleep(0.5)")
    try:
        assert any("work_mem is overridden in" in warning for warning in configure()["warnings"])
    finally:
        psql("ALTER SYSTEM RESET work_mem")
        psql("SELECT pg_reload_conf(), pg_sleep(0.5)")
