# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills by the unit that the role has made, and restores by the program, as a person runs them at night."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from testinfra.host import Host

UNIT = "dbops-postgres-drill.service"
EVIDENCE = "/var/lib/dbops-postgres/evidence/drill.json"
SECRET = "AGE-SECRET-KEY"


def evidence(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.file(EVIDENCE).content_string)
    return found


def left(host: Host) -> str:
    return str(host.check_output("ls /var/lib/dbops-postgres/scratch | grep -v lock || true"))


def test_the_timer_waits(host: Host) -> None:
    assert host.check_output("systemctl is-enabled dbops-postgres-drill.timer") == "enabled"
    assert "dbops-postgres-drill.timer" in host.check_output("systemctl list-timers --no-pager --no-legend")


def test_a_drill_by_the_unit_passes_and_leaves_its_receipt(host: Host) -> None:
    host.check_output(f"systemctl start {UNIT}")
    found = evidence(host)
    assert (found["verdict"], found["set"]) == ("passed", "20261124T010000Z-a")
    receipt = json.loads(host.file(found["receipt"]).content_string)
    assert receipt["passed"] is True
    assert receipt["rto_target_seconds"] == 900
    assert host.file(found["receipt"].replace(".json", ".md")).contains("restored and proven")
    assert host.file("/var/lib/dbops-postgres/dbops_drill.prom").contains("^dbops_drill_passed 1$")
    assert left(host) == ""


def test_it_is_hardened(host: Host) -> None:
    exposure = host.check_output(f"systemd-analyze security {UNIT} --no-pager | tail -1")
    level = float(exposure.split(":")[1].split()[0])
    assert level < 4, exposure


def test_a_unit_that_is_killed_is_visible_and_the_next_cleans_up(host: Host) -> None:
    host.check_output(f"systemctl start --no-block {UNIT}")
    wait = "until ls /var/lib/dbops-postgres/scratch/drill-*/data/postmaster.pid; do sleep 0.05; done"
    host.check_output(f"timeout 60 sh -c '{wait}'")
    host.check_output(f"systemctl kill --signal=SIGKILL --kill-whom=main {UNIT}")
    host.check_output(f"timeout 60 sh -c 'while systemctl is-active -q {UNIT}; do sleep 0.05; done'; sleep 0.5")
    assert host.run(f"systemctl is-failed {UNIT}").stdout.strip() == "failed"
    assert left(host) != ""
    host.check_output(f"systemctl start {UNIT}")
    assert left(host) == ""


def test_a_unit_that_is_stopped_removes_its_cluster(host: Host) -> None:
    host.check_output(f"systemctl start --no-block {UNIT}")
    wait = "until ls /var/lib/dbops-postgres/scratch/drill-*/data/postmaster.pid; do sleep 0.05; done"
    host.check_output(f"timeout 60 sh -c '{wait}'")
    host.check_output(f"systemctl stop {UNIT}")
    assert left(host) == ""


def test_a_damaged_set_fails_the_unit(host: Host) -> None:
    path = "/var/lib/postgresql/sets/20261124T010000Z-a/shop.dump"
    flip = f"import pathlib; p = pathlib.Path('{path}'); b = bytearray(p.read_bytes()); b[999] ^= 1; p.write_bytes(b)"
    host.check_output(f'python3 -c "{flip}"')
    try:
        done = host.run(f"systemctl start {UNIT}")
    finally:
        host.check_output(f'python3 -c "{flip}"')
    assert done.rc != 0
    assert "shop.dump is damaged" in evidence(host)["message"]
    assert host.file("/var/lib/dbops-postgres/dbops_drill.prom").contains("^dbops_drill_passed 0$")
    assert evidence(host)["last_success"] > 0


def test_a_restore_at_night(host: Host, psql: Callable[..., str]) -> None:
    psql("DELETE FROM orders WHERE id > 10", database="shop")
    told = host.run("dbops-postgres restore --database shop --in-place --confirm shop --plan")
    assert "Nothing was changed" in told.stderr
    assert psql("SELECT count(*) FROM orders", database="shop") == "10"
    assert host.run("dbops-postgres restore --database shop --in-place").rc == 2
    done = host.run("dbops-postgres restore --database shop --in-place --confirm shop")
    assert done.rc == 0, done.stderr
    assert "1000 rows in 1 tables are in database shop" in done.stderr
    assert psql("SELECT count(*) FROM orders", database="shop") == "1000"
    assert len(psql("SELECT datname FROM pg_database WHERE datname LIKE 'shop_before_%'").split()) == 1


def test_the_identity_is_nowhere(host: Host) -> None:
    found = host.run(f"grep -rlF {SECRET} /etc /root /run /tmp /var --exclude-dir=credentials")
    assert found.stdout == ""
    assert SECRET not in host.check_output("journalctl --no-pager --output=cat")


def test_the_configuration_is_read_before_it_is_written(host: Host) -> None:
    assert host.run("dbops-postgres check").rc == 0
    done = host.run("echo '{\"target\": {}}' >/tmp/bad.json; dbops-postgres --config /tmp/bad.json check")
    assert done.rc == 2
    assert "has no target" in done.stderr
