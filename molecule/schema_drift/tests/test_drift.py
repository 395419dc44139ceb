# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit that the role has made sees what changed by hand. The tests of a host go on from what those before left."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from testinfra.host import Host

UNIT = "dbops-postgres-drift.service"
EVIDENCE = "/var/lib/dbops-postgres/evidence"
Psql = Callable[..., str]


def record(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.file(f"{EVIDENCE}/checks/pg_schema_drift_check--shop.json").content_string)
    return found


def test_the_timer_waits(host: Host) -> None:
    assert host.check_output("systemctl is-enabled dbops-postgres-drift.timer") == "enabled"
    assert "dbops-postgres-drift.timer" in host.check_output("systemctl list-timers --no-pager --no-legend")


def test_nothing_changed(host: Host) -> None:
    host.check_output(f"systemctl start {UNIT}")
    assert (record(host)["passed"], record(host)["summary"]) == (True, "The schema is as expected")
    assert host.run("dbops-postgres drift").rc == 0
    assert host.file("/var/lib/dbops-postgres/dbops_drift.prom").contains("^dbops_drift_passed 1$")


def test_a_restored_dump_is_the_same_schema(host: Host, psql: Psql) -> None:
    host.check_output(
        "runuser -u postgres -- sh -c 'cd / && createdb copy && pg_dump -Fc shop | pg_restore --exit-on-error -d copy'"
    )
    config = {"databases": [{"name": "copy", "snapshot": "/etc/dbops-postgres/schema/shop.json"}]}
    host.check_output("echo %s >/run/copy.json", json.dumps(config))
    same = host.run("dbops-postgres --drift-config /run/copy.json drift")
    assert same.rc == 0, same.stderr
    psql("DROP DATABASE copy")


def test_what_changed_by_hand_is_seen(host: Host, psql: Psql) -> None:
    for statement in (
        "DROP INDEX orders_customer",
        "CREATE OR REPLACE FUNCTION twice(x int) RETURNS int LANGUAGE sql AS 'SELECT 3 * x'",
        "CREATE POLICY surprise ON orders USING (true)",
        "GRANT SELECT ON orders TO PUBLIC",
        "CREATE TABLE scratch_1 ()",
    ):
        psql(statement, "shop")
    assert host.run(f"systemctl start {UNIT}").rc != 0
    assert host.check_output(f"systemctl show --property=ExecMainStatus --value {UNIT}") == "2"
    found = record(host)
    assert (found["passed"], found["facts"]["differences"]) == (False, 4)
    assert "function public.twice(x integer): changed" in found["facts"]["subjects"]
    assert host.file("/var/lib/dbops-postgres/dbops_drift.prom").contains("^dbops_drift_differences 4$")
    assert "index public.orders_customer: missing" in host.check_output(f"journalctl --no-pager -o cat -u {UNIT}")
    said = host.run("dbops-postgres drift --sql")
    assert said.rc == 2
    assert "CREATE INDEX CONCURRENTLY orders_customer ON public.orders USING btree (customer);" in said.stdout


def test_what_is_said_brings_it_back(host: Host, psql: Psql) -> None:
    host.run("dbops-postgres drift --sql >/run/back.sql 2>/dev/null")
    host.check_output("runuser -u postgres -- psql -Xq -v ON_ERROR_STOP=1 -d shop -f /run/back.sql")
    host.check_output(f"systemctl start {UNIT}")
    assert record(host)["passed"] is True


def test_what_cannot_be_looked_at_is_no_pass(host: Host) -> None:
    host.check_output("mv /etc/dbops-postgres/schema/shop.json /run/away.json")
    try:
        assert host.run("dbops-postgres drift").rc == 1
        assert "could not be looked at" in record(host)["summary"]
        assert record(host)["statuses"] == {"E-2": ["error"]}
    finally:
        host.check_output("mv /run/away.json /etc/dbops-postgres/schema/shop.json")
    assert host.run("dbops-postgres drift").rc == 0


def test_the_unit_is_hardened(host: Host) -> None:
    wanted = "NoNewPrivileges,ProtectSystem,PrivateNetwork,RestrictAddressFamilies"
    assert set(host.check_output(f"systemctl show --property={wanted} {UNIT}").splitlines()) == {
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "PrivateNetwork=yes",
        "RestrictAddressFamilies=AF_UNIX",
    }
