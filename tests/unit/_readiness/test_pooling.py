# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""P-1: a truth table of poolers."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from ansible_collections.dbops.postgres.plugins.module_utils._readiness import check, look, observe, pooler
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.pooling import milliseconds
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import PROBES
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Connection,
    DefinerFunction,
    File,
    LoadTest,
    Observed,
    PooledDatabase,
    Pooler,
    Role,
    RoleSetting,
    Server,
    Setting,
    Thresholds,
    Unseen,
)
from tests.unit._readiness.good import APP, good

DATABASE = PooledDatabase("payments_db", "127.0.0.1", 5432, "payments_db", 10, 0, "transaction", (APP,))
POOLER = Pooler(
    port=6432,
    settings={
        "auth_file": "/etc/pgbouncer/userlist.txt",
        "auth_query": "SELECT username, password FROM dbops_pooler.lookup($1)",
        "auth_type": "hba",
        "auth_user": "dbops_pooler",
        "client_tls_sslmode": "prefer",
        "listen_addr": "localhost,192.0.2.10",
        "max_client_conn": "100",
        "pool_mode": "transaction",
        "query_wait_timeout": "30",
    },
    databases=(DATABASE,),
    files=(File("/etc/pgbouncer/userlist.txt", exists=True, mode=0o600),),
)
FUNCTION = DefinerFunction(
    "dbops_pooler.lookup", owner_is_superuser=True, search_path_pinned=True, public=False, heeds_expiry=True
)
TIMEOUTS = {
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "30s",
    "idle_session_timeout": "5min",
}


def pooled(pooler: Pooler | None = POOLER, function: DefinerFunction | None = FUNCTION, **server: Any) -> Observed:
    """A good server with this pooler."""
    observed = good()
    assert isinstance(observed.server, Server)
    found = observed.server
    assert not isinstance(found.databases, Unseen)
    assert not isinstance(found.role_settings, Unseen)
    settings = type(found.settings)(
        {
            "max_connections": Setting("100"),
            "superuser_reserved_connections": Setting("3"),
            "port": Setting("5432"),
            **dict.fromkeys(TIMEOUTS, Setting("0")),
            **{name: value for name, value in found.settings.items() if name not in TIMEOUTS},
        }
    )
    databases = tuple(
        replace(item, inside=replace(item.inside, definers=(function,) if function else ()))
        if item.name == "payments_db" and not isinstance(item.inside, Unseen)
        else item
        for item in found.databases
    )
    assert any(item.name == "payments_db" for item in databases)
    made = {
        "settings": settings,
        "databases": databases,
        "role_settings": tuple(RoleSetting(APP, "", name, value) for name, value in TIMEOUTS.items()),
        "connections": (),
        "roles": (
            Role("postgres", superuser=True, login=True, bootstrap=True),
            Role(APP, login=True, connection_limit=20),
            Role("payments_prod_migrator", login=True, connection_limit=4),
            Role("dbops_pooler", login=True, connection_limit=2),
        ),
        **server,
    }
    return replace(observed, server=replace(found, **made), poolers=(pooler,) if pooler else ())


def verdicts(seen: Observed) -> dict[str, tuple[Status, str]]:
    """What P-1 says, by subject without the port."""
    found = check.judged(seen, Thresholds(), check.select(["P-1"], []))
    return {item.subject.partition(", port")[0]: (item.status, item.evidence) for item in found}


def setting(**changes: str) -> Pooler:
    return replace(POOLER, settings={**POOLER.settings, **changes})


def test_a_good_pooler_passes() -> None:
    assert {status for status, _evidence in verdicts(pooled()).values()} == {Status.PASS}


def test_without_a_pooler_the_control_fails() -> None:
    said = verdicts(pooled(None))
    assert said["pooler"][0] is Status.FAIL
    assert said["budget"][0] is Status.NOT_TESTED


def test_several_processes_on_one_port_are_added_up_and_told_apart() -> None:
    one = replace(POOLER, databases=(replace(DATABASE, size=45),), settings={**POOLER.settings, "peer_id": "1"})
    other = replace(one, settings={**POOLER.settings, "peer_id": "2"})
    said = verdicts(replace(pooled(), poolers=(one, other)))
    assert said["budget"][0] is Status.PASS
    assert "pools 90 " in said["budget"][1]
    assert "port 6432, process 1, port 6432, process 2" in said["pooler"][1]
    larger = replace(pooled(), poolers=(one, replace(other, databases=(replace(DATABASE, size=60),))))
    assert verdicts(larger)["budget"][0] is Status.FAIL


# A server, the subject that fails, and what is said of it.
DEFECTS: list[tuple[Observed, str, str]] = [
    (pooled(None), "pooler", "no pgbouncer runs"),
    (pooled(replace(POOLER, databases=(replace(DATABASE, waits=True),))), "pooler", "paused or disabled: payments_db"),
    (pooled(replace(POOLER, databases=(replace(DATABASE, mode="session"),))), "pool mode", "payments_db: session"),
    (pooled(setting(query_wait_timeout="0")), "cap and waiting time", "query_wait_timeout = 0 s"),
    (pooled(setting(auth_type="md5")), "authentication of clients", "auth_type = md5"),
    (pooled(replace(setting(pool_mode="session"), databases=())), "pool mode", "port 6432: session"),
    (
        pooled(replace(POOLER, weak_rules=("host all all 10.0.0.0/8 trust",))),
        "authentication of clients",
        "10.0.0.0/8 trust",
    ),
    (pooled(function=replace(FUNCTION, executors=("dbops_pooler", APP))), "look-up of passwords", f"{APP} may execute"),
    (
        pooled(function=replace(FUNCTION, owner_is_superuser=False)),
        "look-up of passwords",
        "belongs to a role that is no superuser",
    ),
    (pooled(replace(POOLER, databases=(replace(DATABASE, anybody=True),))), "budget", "each further login that comes"),
    (pooled(replace(POOLER, databases=(replace(DATABASE, anybody=True, most=95),))), "budget", "= 104 of 100"),
    (pooled(setting(auth_type="trust")), "authentication of clients", "auth_type = trust"),
    (
        pooled(setting(auth_query="SELECT rolname, rolpassword FROM pg_authid WHERE rolname=$1")),
        "look-up of passwords",
        "reads the catalog itself",
    ),
    (pooled(function=None), "look-up of passwords", "has no SECURITY DEFINER function"),
    (pooled(function=replace(FUNCTION, public=True)), "look-up of passwords", "PUBLIC may execute"),
    (pooled(function=replace(FUNCTION, search_path_pinned=False)), "look-up of passwords", "no pinned search_path"),
    (pooled(function=replace(FUNCTION, heeds_expiry=False)), "look-up of passwords", "CVE-2025-2291"),
    (pooled(replace(POOLER, clear=(APP,))), "passwords in its files", f"{APP} in clear"),
    (
        pooled(replace(POOLER, files=(File("/etc/pgbouncer/userlist.txt", exists=True, mode=0o640),))),
        "passwords in its files",
        "has mode 0640",
    ),
    (pooled(setting(client_tls_sslmode="disable")), "encryption", "client_tls_sslmode = disable"),
    (pooled(setting(auth_type="scram-sha-256")), "encryption", "client_tls_sslmode = prefer"),
    (pooled(replace(POOLER, plain_rules=("host a b 10.0.0.0/8 scram-sha-256",))), "encryption", "host a b"),
    (pooled(replace(POOLER, databases=(replace(DATABASE, size=95),))), "budget", "= 104 of 100"),
    (pooled(replace(POOLER, databases=(replace(DATABASE, reserve=85),))), "budget", "= 104 of 100"),
    (pooled(roles=(Role("reporter", login=True),)), "budget", "without a limit, so without a budget: reporter"),
    (
        pooled(connections=(Connection(APP, "payments_db", "10.0.0.9", tls=True),)),
        "way of the applications",
        f"{APP} from 10.0.0.9",
    ),
    (pooled(role_settings=()), "timeouts of pooled logins", "statement_timeout = 0"),
    (
        pooled(
            role_settings=(
                *(RoleSetting(APP, "", name, value) for name, value in TIMEOUTS.items()),
                RoleSetting(APP, "payments_db", "statement_timeout", "0"),
            )
        ),
        "timeouts of pooled logins",
        f"{APP} in payments_db: statement_timeout = 0",
    ),
    (
        pooled(role_settings=(RoleSetting(APP, "", "statement_timeout", "31s"),)),
        "timeouts of pooled logins",
        "statement_timeout = 31s",
    ),
]


@pytest.mark.parametrize(("seen", "subject", "says"), DEFECTS)
def test_each_defect_is_found(seen: Observed, subject: str, says: str) -> None:
    status, evidence = verdicts(seen)[subject]
    assert status is Status.FAIL
    assert says in evidence


UNREAD = Unseen(Status.ERROR, "its HBA file cannot be read")


@pytest.mark.parametrize(
    ("seen", "subject", "status"),
    [
        (pooled(replace(POOLER, plain_rules=UNREAD)), "encryption", Status.ERROR),
        (pooled(replace(POOLER, weak_rules=UNREAD)), "authentication of clients", Status.ERROR),
        (pooled(replace(POOLER, clear=UNREAD)), "passwords in its files", Status.ERROR),
        (
            pooled(replace(POOLER, databases=(replace(DATABASE, dbname="elsewhere"),))),
            "look-up of passwords",
            Status.NOT_TESTED,
        ),
        (pooled(replace(POOLER, databases=())), "way of the applications", Status.NOT_TESTED),
        (pooled(replace(POOLER, databases=())), "timeouts of pooled logins", Status.NOT_TESTED),
    ],
)
def test_what_was_not_looked_at_is_no_pass(seen: Observed, subject: str, status: Status) -> None:
    assert verdicts(seen)[subject][0] is status


def test_a_limit_of_the_whole_database_bounds_its_pools() -> None:
    bounded = replace(DATABASE, users=(APP, "other"), size=60, most=20)
    assert "pools 20 " in verdicts(pooled(replace(POOLER, databases=(bounded,))))["budget"][1]


HBA = """# comment
host "payments_db" "a" 127.0.0.1/32 scram-sha-256
hostssl all b 10.0.0.0/8 scram-sha-256
host all all 10.0.0.0/8 trust
local all c md5
host all d 10.0.0.0/8 reject
"""


def test_rules_of_an_hba_file(tmp_path: Path) -> None:
    path = tmp_path / "hba"
    path.write_text(HBA)
    rules = pooler._rules(str(path))
    assert not isinstance(rules, Unseen)
    assert pooler._lines(rules, lambda words: words[-1] in pooler._WEAK) == (
        "host all all 10.0.0.0/8 trust",
        "local all c md5",
    )
    users = pooler._admitted(rules)
    row = {"name": "payments_db", "host": "", "port": 5432, "database": "payments_db", "pool_size": 3, "pool_mode": ""}
    found = pooler._database(row, users, unnamed=False)
    assert (found.users, found.anybody) == (("a", "b", "c"), True)
    assert not found.waits
    assert pooler._database({**row, "paused": 1}, users, unnamed=False).waits
    forced = pooler._database({**row, "force_user": "one"}, users, unnamed=True)
    assert (forced.users, forced.anybody) == (("one",), False)


@pytest.mark.parametrize("text", [None, 'host "payments_db a 10.0.0.0/8 scram-sha-256'])
def test_an_hba_file_that_cannot_be_read_is_not_taken_for_an_empty_one(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "hba"
    if text is not None:
        path.write_text(text)
    rules = pooler._rules(str(path))
    assert isinstance(rules, Unseen)
    assert isinstance(pooler._lines(rules, lambda _words: True), Unseen)


def test_passwords_in_all_its_files_are_found(tmp_path: Path) -> None:
    (tmp_path / "users").write_text('"dbops_pooler" "own"\n"clear" "secret"\n"app" "SCRAM-SHA-256$4096:x$y:z"\n')
    (tmp_path / "more.ini").write_text('[databases]\n"odd one" = password = x\n')
    (tmp_path / "ini").write_text(
        "[databases]\na = host=h user=u password=secret\n; b = password=gone\nc = host=h\n%include more.ini\n"
        "[pgbouncer]\nauth_query = SELECT username, password FROM f($1)\n"
    )
    files = {"auth_file": str(tmp_path / "users"), "conffile": str(tmp_path / "ini"), "auth_user": "dbops_pooler"}
    assert pooler._clear(files) == ("clear", "database a", "database odd one")
    assert isinstance(pooler._clear({**files, "conffile": str(tmp_path / "none")}), Unseen)


@pytest.mark.parametrize(("host", "status"), [("", Status.PASS), ("db1", Status.ERROR)])
def test_a_pooler_with_a_host_of_its_own_is_looked_at(
    host: str, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = Unseen(Status.ERROR, "no server runs here")
    monkeypatch.setattr(observe, "observe", lambda *_arguments: nothing)
    monkeypatch.setattr(pooler, "observe", lambda: (POOLER,))
    seen = look.observed(Login(host=host), [], datetime.datetime.now(datetime.UTC))
    said = verdicts(seen)
    assert {said[subject][0] for subject in ("pooler", "pool mode", "encryption", "passwords in its files")} == {status}
    assert {said[subject][0] for subject in ("budget", "look-up of passwords")} == {Status.ERROR}


def test_every_probe_can_fail() -> None:
    subjects = {item.subject for item in PROBES if item.control == "P-1"}
    assert subjects == {subject for _seen, subject, _says in DEFECTS}


@pytest.mark.parametrize(
    ("text", "value"),
    [("30s", 30_000), ("30000", 30_000), ("5min", 300_000), ("0", 0), ("soon", -1), ("1 h", 3_600_000)],
)
def test_times(text: str, value: float) -> None:
    assert milliseconds(text) == value


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (LoadTest(True, 3, "fast"), Status.PASS),
        (LoadTest(True, 181, "fast"), Status.FAIL),
        (LoadTest(False, 3, "slow"), Status.FAIL),
        (Unseen(Status.NOT_TESTED, "none on record"), Status.NOT_TESTED),
    ],
)
def test_the_last_load_test(last: LoadTest | Unseen, status: Status) -> None:
    [found] = check.judged(replace(pooled(), load_test=last), Thresholds(), check.select(["P-7"], []))
    assert found.status is status


@pytest.mark.parametrize(
    ("text", "status"),
    [(None, Status.NOT_TESTED), ("{", Status.ERROR), ("[]", Status.ERROR), ('{"time": "soon"}', Status.ERROR)],
)
def test_a_record_that_cannot_be_read_is_no_pass(
    text: str | None, status: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "load_test.json"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(pooler, "LOAD_TEST", str(path))
    found = pooler.load_test(0.0)
    assert isinstance(found, Unseen)
    assert found.status is status


def test_a_record_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {"clients": 9, "duration_seconds": 60, "requests_per_second": 1200.5, "p95_ms": 8, "errors": 0}
    path = tmp_path / "load_test.json"
    path.write_text(json.dumps({"time": "1970-01-02T00:00:00+00:00", "passed": True, **spec}))
    monkeypatch.setattr(pooler, "LOAD_TEST", str(path))
    assert pooler.load_test(5 * 86400.0) == LoadTest(
        True, 4, "9 clients, 60 s: 1200.5 transactions a second, p95 8 ms, 0 errors"
    )
