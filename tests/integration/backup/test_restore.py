# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores on a live server: the live database is touched last, and only when what takes its place is proven."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.backup.conftest import SETS, DrillHost, psql
from tests.integration.servers import Database

A = "20261124T010000Z-a"
COUNT = "SELECT count(*) FROM payments"


def databases(drill_host: DrillHost, shop: Database) -> list[str]:
    """The databases of this test."""
    rows = psql(drill_host.host, "postgres", "SELECT datname FROM pg_database ORDER BY 1").splitlines()
    return [row for row in rows if row.startswith(shop.name)]


def drop(drill_host: DrillHost, name: str) -> None:
    psql(drill_host.host, "postgres", f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("root", [False, True])
def test_beside_the_live_one(drill_host: DrillHost, shop: Database, root: bool) -> None:
    status, done, said = drill_host.restore(root=root, database=shop.name, set=A)
    assert status == 0, said
    new = done["names"]["new"]
    assert new.startswith(f"{shop.name}_restored_2")
    assert databases(drill_host, shop) == [shop.name, new]
    assert psql(drill_host.host, new, COUNT) == "1000"
    assert (done["tables"], done["rows"]) == (2, 1001)
    assert drill_host.left() == []
    assert "1. fetch database" in said
    drop(drill_host, new)


def test_workers_in_each_others_way(drill_host: DrillHost, shop: Database) -> None:
    status, done, said = drill_host.restore(database=shop.name, set=A, deadlock="1")
    assert status == 0, said
    assert "two workers of pg_restore were in each other's way (deadlock)" in said
    new = done["names"]["new"]
    assert databases(drill_host, shop) == [shop.name, new]
    assert psql(drill_host.host, new, COUNT) == "1000"
    drop(drill_host, new)


def test_what_it_would_do(drill_host: DrillHost, shop: Database) -> None:
    before = databases(drill_host, shop)
    status, done, _said = drill_host.restore(database=shop.name, in_place=True, confirm=shop.name, go=False)
    assert (status, done["done"]) == (0, False)
    assert any("rename it" in line for line in done["steps"])
    assert databases(drill_host, shop) == before


def test_in_place_of_the_live_one(drill_host: DrillHost, shop: Database) -> None:
    host = drill_host.host
    psql(
        host,
        "postgres",
        f"ALTER DATABASE {shop.name} SET work_mem = '8MB'; REVOKE ALL ON DATABASE {shop.name} FROM PUBLIC",
    )
    psql(host, shop.name, "DELETE FROM payments WHERE id > 100")
    status, done, said = drill_host.restore(database=shop.name, set=A, in_place=True, confirm="shop")
    assert status == 1
    assert "needs its name once more, and has 'shop'" in said
    assert psql(host, shop.name, COUNT) == "101"
    status, done, said = drill_host.restore(database=shop.name, set=A, in_place=True, confirm=shop.name)
    assert status == 0, said
    kept = done["names"]["kept"]
    assert databases(drill_host, shop) == [shop.name, kept]
    assert psql(host, shop.name, COUNT) == "1000"
    assert psql(host, kept, COUNT) == "101", "what it was is kept"
    assert psql(host, shop.name, "SHOW work_mem") == "8MB"
    acl = "SELECT has_database_privilege('pg_monitor', current_database(), 'CONNECT')"
    assert psql(host, shop.name, acl) == "f"
    drop(drill_host, kept)


def test_single_tables(drill_host: DrillHost, shop: Database) -> None:
    status, _done, said = drill_host.restore(database=shop.name, set=A, tables=["public.pay*"], into=f"{shop.name}_t")
    assert status == 0, said
    assert psql(drill_host.host, f"{shop.name}_t", COUNT) == "1000"
    assert psql(drill_host.host, f"{shop.name}_t", "SELECT count(*) FROM other") == "0"
    assert (
        psql(drill_host.host, f"{shop.name}_t", "SELECT count(*) FROM pg_indexes WHERE tablename = 'payments'") == "1"
    )
    drop(drill_host, f"{shop.name}_t")
    status, _done, said = drill_host.restore(database=shop.name, set=A, tables=["public.nothing"])
    assert status == 1
    assert "has no table 'public.nothing'" in said


REFUSED = {
    "a database that is not in the set": ({"database": "elsewhere"}, "has no database 'elsewhere'"),
    "a set that is not there": ({"set": "20200101T000000Z-x"}, "there is no complete set 20200101T000000Z-x"),
    "a name that is taken": ({"into": "postgres"}, "There is a database 'postgres' already"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(drill_host: DrillHost, shop: Database, case: str) -> None:
    spec, said = REFUSED[case]
    wanted: dict[str, Any] = {"database": shop.name, "set": A, **spec}
    status, _done, text = drill_host.restore(**wanted)
    assert status == 1
    assert said in text
    assert databases(drill_host, shop) == [shop.name]


def test_a_damaged_set_touches_nothing(drill_host: DrillHost, shop: Database) -> None:
    name = "20261121T000000Z-bad"
    drill_host.host.run("sh", "-c", f"rm -rf {SETS}/{name}; cp -a {SETS}/{A} {SETS}/{name}")
    flip = "b = bytearray((d / o['name']).read_bytes()); b[-5] ^= 1"
    drill_host.edit(name, f"m['id'] = {name!r}; o = m['databases'][0]['dump']; {flip}; (d / o['name']).write_bytes(b)")
    status, _done, said = drill_host.restore(database=shop.name, set=name)
    assert status == 1
    assert ".dump is damaged" in said
    drill_host.edit(name, "m['databases'][0]['contents']['tables']['public.payments']['rows'] = 5")
    drill_host.edit(
        name, "o = m['databases'][0]['dump']; stored(o, (d.parent / '20261124T010000Z-a' / o['name']).read_bytes())"
    )
    status, _done, said = drill_host.restore(database=shop.name, set=name, in_place=True, confirm=shop.name)
    assert status == 1
    assert "table public.payments: 1000 rows, the manifest says 5" in said
    assert "is untouched" in said
    assert databases(drill_host, shop) == [shop.name]
    assert drill_host.left() == []
    drill_host.host.run("rm", "-rf", f"{SETS}/{name}")


def test_what_the_server_lacks_is_named_first(drill_host: DrillHost, shop: Database) -> None:
    name = "20261121T000000Z-roles"
    drill_host.host.run("sh", "-c", f"rm -rf {SETS}/{name}; cp -a {SETS}/{A} {SETS}/{name}")
    statement = f"m['id'] = {name!r}; m['databases'][0]['roles'] = ['nobody_here']"
    drill_host.edit(name, f"{statement}; m['databases'][0]['extensions']['nothing'] = '1.2'")
    status, _done, said = drill_host.restore(database=shop.name, set=name)
    assert status == 1
    assert "extension nothing 1.2; role nobody_here" in said
    assert databases(drill_host, shop) == [shop.name]
    drill_host.host.run("rm", "-rf", f"{SETS}/{name}")


@pytest.mark.parametrize(
    ("call", "new_is_left"), [("create", False), ("proven", True), ("take_over", True), ("swap", True)]
)
def test_it_is_killed(drill_host: DrillHost, shop: Database, call: str, new_is_left: bool) -> None:
    status, _done, _said = drill_host.restore(kill=call, database=shop.name, set=A, in_place=True, confirm=shop.name)
    assert status != 0
    there = databases(drill_host, shop)
    assert shop.name in there, "the live one is as it was"
    assert len(there) == 1 + new_is_left
    assert psql(drill_host.host, shop.name, COUNT) == "1000"
    _status, done, _said = drill_host.restore(database=shop.name, set=A, go=False)
    assert (len(done["leftovers"]) == 1) == (call == "proven")
    for name in set(there) - {shop.name}:
        drop(drill_host, name)
    status, done, said = drill_host.restore(database=shop.name, set=A)
    assert status == 0, said
    drop(drill_host, done["names"]["new"])
    assert drill_host.left() == []
