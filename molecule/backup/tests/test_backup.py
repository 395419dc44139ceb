# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups and drills by the units that the roles have made, restores by the program, as a person runs them at night.

The tests of a host go on from what those before have left: a backup, its drill, damage, a restore.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from testinfra.host import Host

BACKUP = "dbops-postgres-backup.service"
UNIT = "dbops-postgres-drill.service"
EVIDENCE = "/var/lib/dbops-postgres/evidence/{}.json"
SECRETS = ("AGE-SECRET-KEY", "canary-s3-secret-0123456789abcdefghij")
OFFSITE = "/srv/s3/backups/db1"
IN_A_DRILL = "until ls /var/lib/dbops-postgres/scratch/drill-*/data/postmaster.pid; do sleep 0.05; done"


def evidence(host: Host, job: str = "drill") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.file(EVIDENCE.format(job)).content_string)
    return found


def status(host: Host) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(host.run("dbops-postgres status --json").stdout)["targets"]
    return found


def left(host: Host) -> str:
    return str(host.check_output("ls /var/lib/dbops-postgres/scratch | grep -v lock || true"))


def test_the_timers_wait(host: Host) -> None:
    waiting = host.check_output("systemctl list-timers --no-pager --no-legend")
    for timer in ("dbops-postgres-backup.timer", "dbops-postgres-drill.timer"):
        assert host.check_output(f"systemctl is-enabled {timer}") == "enabled"
        assert timer in waiting


def test_a_backup_by_the_unit_is_complete_at_both_targets(host: Host) -> None:
    host.check_output(f"systemctl start {BACKUP}")
    found = evidence(host, "backup")
    assert (found["verdict"], len(found["targets"])) == ("passed", 2)
    offsite, local = status(host)
    assert (offsite["problem"], local["problem"]) == ("", "")
    assert offsite["newest"]["databases"] == ["postgres", "shop"]
    assert offsite["newest"]["encrypted"] is True
    assert host.file("/var/lib/dbops-postgres/dbops_backup.prom").contains("^dbops_backup_passed 1$")
    assert host.run("grep -rlE 'canary-app-9d3|PGDMP' /srv /tmp").stdout == ""


def test_a_backup_that_cannot_be_made_fails_its_unit(host: Host) -> None:
    host.check_output("systemctl stop s3; mv /srv/sets /srv/away")
    try:
        done = host.run(f"systemctl start {BACKUP}")
    finally:
        host.check_output("mv /srv/away /srv/sets; systemctl start s3")
    assert done.rc != 0
    assert "/srv/sets of the backups is not there" in evidence(host, "backup")["message"]
    host.check_output("timeout 20 bash -c 'until (exec 3<>/dev/tcp/127.0.0.1/9443); do sleep 0.1; done' 2>/dev/null")
    host.check_output(f"systemctl reset-failed {BACKUP}")
    assert len(status(host)[1]["sets"]) == 1


def test_a_drill_by_the_unit_passes_and_leaves_its_receipt(host: Host) -> None:
    host.check_output(f"systemctl start {UNIT}")
    found = evidence(host)
    assert (found["verdict"], found["set"]) == (
        "passed",
        evidence(host, "backup")["set"] or status(host)[0]["newest"]["id"],
    )
    receipt = json.loads(host.file(found["receipt"]).content_string)
    assert receipt["passed"] is True
    assert receipt["rto_target_seconds"] == 900
    assert host.file(found["receipt"].replace(".json", ".md")).contains("restored and proven")
    assert host.file("/var/lib/dbops-postgres/dbops_drill.prom").contains("^dbops_drill_passed 1$")
    assert left(host) == ""


def test_they_are_hardened(host: Host) -> None:
    for unit in (BACKUP, UNIT):
        exposure = host.check_output(f"systemd-analyze security {unit} --no-pager | tail -1")
        level = float(exposure.split(":")[1].split()[0])
        assert level < 4, exposure


def test_a_unit_that_is_killed_is_visible_and_the_next_cleans_up(host: Host) -> None:
    host.check_output(f"systemctl start --no-block {UNIT}")
    kill = f"{IN_A_DRILL}; systemctl kill --signal=SIGKILL --kill-whom=main {UNIT}"
    # systemd first ends the rest of what the unit had started.
    host.check_output(f"timeout 90 sh -c '{kill}; until systemctl is-failed -q {UNIT}; do sleep 0.05; done'")
    assert left(host) != ""
    host.check_output(f"systemctl start {UNIT}")
    assert left(host) == ""


def test_a_unit_that_is_stopped_removes_its_cluster(host: Host) -> None:
    host.check_output(f"systemctl start --no-block {UNIT}")
    host.check_output(f"timeout 60 sh -c '{IN_A_DRILL}; systemctl stop {UNIT}'")
    assert left(host) == ""


def test_a_damaged_set_fails_the_unit(host: Host) -> None:
    [path] = host.check_output(f"ls {OFFSITE}/*/shop.dump*").split()
    flip = f"import pathlib; p = pathlib.Path('{path}'); b = bytearray(p.read_bytes()); b[999] ^= 1; p.write_bytes(b)"
    host.check_output(f'python3 -c "{flip}"')
    try:
        done = host.run(f"systemctl start {UNIT}")
    finally:
        host.check_output(f'python3 -c "{flip}"')
    assert done.rc != 0
    assert f"{path.rpartition('/')[2]} is damaged" in evidence(host)["message"]
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


def test_old_sets_go_and_the_proven_one_stays(host: Host) -> None:
    proven = status(host)[0]["newest"]["id"]
    for _run in range(3):
        host.check_output("dbops-postgres backup --label more")
    for place in status(host):
        held = [item["id"] for item in place["sets"]]
        assert len(held) == 3
        assert held[-1] == proven
        assert place["sets"][-1]["verified"] is True


def test_the_secrets_are_nowhere(host: Host) -> None:
    for secret in SECRETS:
        found = host.run(f"grep -rlF {secret} /etc /root /run /tmp /var --exclude-dir=credentials --exclude=s3.service")
        assert found.stdout == ""
        assert secret not in host.check_output("journalctl --no-pager --output=cat")


def test_the_configuration_is_read_before_it_is_written(host: Host) -> None:
    assert host.run("dbops-postgres check").rc == 0
    assert host.run("dbops-postgres check --of backup").rc == 0
    done = host.run("echo '{\"target\": {}}' >/tmp/bad.json; dbops-postgres --config /tmp/bad.json check")
    assert done.rc == 2
    assert "has no target" in done.stderr
