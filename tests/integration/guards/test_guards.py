# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules, filters, lookup and playbooks as a person runs them, with -vvv: what they do, and no secret said."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.servers import Database
from tests.throwaway import CHECKOUT

CANARY = "canaryS7kQ"
GOOD = f"postgresql://app:{CANARY}%40%2F@db1.example.com:5432/payments?sslmode=verify-full"
BAD = {
    "URL_LOCAL": f"postgresql://app:{CANARY}@127.0.0.1:5432/payments?sslmode=verify-full",
    "URL_PLAIN": f"postgresql://app:{CANARY}%2f@db1.example.com/payments",
    "URL_BROKEN": f"postgresql://app:{CANARY}@x/y@db1.example.com/payments",
    "URL_DSN": f"host=db1 password='{CANARY} x'",
    "URL_QUERY": f"postgresql://app@db1/payments?sslmode=verify-full&password={CANARY}",
}


def play(directory: Path, tasks: list[dict[str, Any]], *arguments: str) -> tuple[str, dict[str, Any]]:
    """Run tasks on the controller: all that was said, and what was registered."""
    result = directory / "result.json"
    result.unlink(missing_ok=True)
    names = [task["register"] for task in tasks if "register" in task]
    keep = "{{ {" + ", ".join(f"'{name}': {name}" for name in names) + "} | to_json }}"
    content = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
            "tasks": [*tasks, {"ansible.builtin.copy": {"dest": str(result), "content": keep}, "check_mode": False}],
        }
    ]
    (directory / "play.yml").write_text(json.dumps(content))
    done = run(str(directory / "play.yml"), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr, json.loads(result.read_text())


def run(playbook: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ansible-playbook", "-i", "localhost,", "-c", "local", "-vvv", "--diff", *arguments, playbook],
        cwd=CHECKOUT,
        env={**os.environ, **BAD, "URL_GOOD": GOOD, "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_no_part_of_a_url_is_said(tmp_path: Path) -> None:
    url = "{{ lookup('ansible.builtin.env', '%s') }}"
    (tmp_path / "url").write_text(f"{GOOD}\n")
    tasks: list[dict[str, Any]] = [
        {
            "dbops.postgres.database_url_check": {"variable": "URL_GOOD", "environment": "prod"},
            "register": "good",
        },
        {
            "dbops.postgres.database_url_check": {"src": str(tmp_path / "url"), "environment": "prod"},
            "register": "file",
        },
        {
            "dbops.postgres.database_url_check": {"src": str(tmp_path / "none"), "environment": "prod"},
            "register": "no_file",
            "ignore_errors": True,
        },
        {
            "ansible.builtin.set_fact": {
                "same": "{{ lookup('dbops.postgres.database_url', 'URL_GOOD', environment='prod') == "
                "(lookup('ansible.builtin.env', 'URL_GOOD') | dbops.postgres.database_url('prod')) }}"
            },
            "register": "same_said",
        },
    ]
    for number, name in enumerate([*BAD, "URL_MISSING"]):
        judge = {"environment": "prod"}
        value = url % name
        tasks += [
            {
                "dbops.postgres.database_url_check": {"variable": name, **judge},
                "register": f"by_name_{number}",
                "ignore_errors": True,
            },
            *(
                {
                    "dbops.postgres.database_url_check": {"url": value, **judge},
                    "register": f"by_value_{number}",
                    "ignore_errors": True,
                }
                for _once in range(number == 2)  # the one that does not parse
            ),
            {
                "ansible.builtin.debug": {"msg": value.replace("}}", "| dbops.postgres.database_url('prod') }}")},
                "register": f"filter_{number}",
                "ignore_errors": True,
            },
            {
                "ansible.builtin.debug": {
                    "msg": f"{{{{ lookup('dbops.postgres.database_url', '{name}', environment='prod') }}}}"
                },
                "register": f"lookup_{number}",
                "ignore_errors": True,
            },
            {
                "ansible.builtin.debug": {"msg": value.replace("}}", "| dbops.postgres.masked_url }}")},
                "register": f"masked_{number}",
            },
        ]
    said, results = play(tmp_path, tasks)
    assert CANARY not in said
    assert results["good"]["passed"]
    assert results["file"]["passed"]
    assert len(results["good"]["findings"]) == 8
    assert "Cannot read" in results["no_file"]["msg"]
    assert results["same_said"]["ansible_facts"]["same"] is True
    for number in range(len(BAD) + 1):
        for kind in ("by_name", "filter", "lookup"):
            assert results[f"{kind}_{number}"]["failed"], f"{kind} {number}"
    assert results["by_value_2"]["failed"]
    assert CANARY not in json.dumps(results)
    statuses = {f["subject"].split(": ")[1]: f["status"] for f in results["by_name_2"]["findings"]}
    assert statuses["present"] == "pass"
    assert statuses["form"] == "fail"
    assert statuses["host"] == "error"


@pytest.fixture
def shop(pg_database: Database) -> Database:
    connection = pg_database.connect()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TYPE state AS ENUM ('a', 'b'); CREATE TABLE orders (id int, s state NOT NULL);"
            "CREATE TABLE views (s state); CREATE VIEW v AS SELECT s FROM views"
        )
    connection.close()
    return pg_database


def test_enum_modules(shop: Database, tmp_path: Path) -> None:
    dest = tmp_path / "migrations"
    write = {
        "dbops.postgres.pg_enum_to_lookup": {
            **shop.login(),
            "table": "orders",
            "column": "s",
            "dest": str(dest),
            "version": 7,
            "layout": "golang-migrate",
        }
    }
    refused = {
        "dbops.postgres.pg_enum_to_lookup": {
            **write["dbops.postgres.pg_enum_to_lookup"],
            "table": "views",
            "version": 20,
        }
    }
    check = {"dbops.postgres.pg_enum_check": {**shop.login(), "junit": str(tmp_path / "junit.xml")}}
    allowed = {"dbops.postgres.pg_enum_check": {**shop.login(), "allowed": ["state", "other"]}}
    said, foretold = play(tmp_path, [{**write, "register": "one"}], "--check")
    assert not dest.exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "000007_orders_s_lookup.up.sql").write_text("-- mine\n")
    mine = {"dbops.postgres.pg_enum_to_lookup": {**write["dbops.postgres.pg_enum_to_lookup"], "dest": str(other)}}
    said_too, made = play(
        tmp_path,
        [
            {**write, "register": "one"},
            {**write, "register": "two"},
            {**refused, "register": "refused", "ignore_errors": True},
            {**mine, "register": "mine", "ignore_errors": True},
            {**check, "register": "check", "ignore_errors": True},
            {**allowed, "register": "allowed"},
        ],
    )
    assert shop.server.password not in said + said_too
    assert foretold["one"]["diff"] == made["one"]["diff"]
    assert made["one"]["changed"]
    assert not made["two"]["changed"]
    assert made["two"]["diff"] == []
    assert sorted(path.name for path in dest.iterdir()) == sorted(
        f"00000{number}_orders_s_{name}.{way}.sql"
        for number, name in ((7, "lookup"), (8, "backfill"), (9, "validate"))
        for way in ("up", "down")
    )
    contract = tmp_path / "migrations_contract" / "000010_orders_s_contract.up.sql"
    assert str(contract) in made["one"]["contract_files"]
    assert "DROP COLUMN" in contract.read_text()
    assert "view public.v depends on it" in made["refused"]["msg"]
    assert "No file was written" in made["refused"]["msg"]
    assert made["check"]["failed"]
    assert not made["check"]["passed"]
    assert "public.orders.s" in made["check"]["findings"][0]["evidence"]
    assert "failures=" in (tmp_path / "junit.xml").read_text()
    assert made["allowed"]["passed"]
    assert made["allowed"]["unused"] == ["other"]
    assert "says something else" in made["mine"]["msg"]
    assert (other / "000007_orders_s_lookup.up.sql").read_text() == "-- mine\n"
    assert len(list(other.iterdir())) == 1


def test_seed_playbooks(shop: Database, tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text(f"TRUNCATE orders; INSERT INTO orders VALUES (1, 'a') -- {CANARY} {{{{ x }}}}\n;")
    login = {key.replace("login_", "seed_login_"): value for key, value in shop.login().items() if key != "login_db"}
    files = [{"database": shop.name, "src": str(tmp_path / "a.sql")}]
    guard = {"database": shop.name, "schemas": ["public"]}
    given = {"seed_hosts": "localhost", "ansible_become": False, **login, "seed_files": files}
    given["seed_evidence"] = False  # this is no host of a database
    given["ansible_python_interpreter"] = "{{ ansible_playbook_python }}"

    def playbook(name: str, environment: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        guards = [{**guard, "environment": environment}]
        (tmp_path / "given.json").write_text(json.dumps({**given, "seed_guards": guards}))
        return run(f"dbops.postgres.{name}", "-e", f"@{tmp_path / 'given.json'}", *arguments)

    unknown = playbook("seed", "")
    assert unknown.returncode == 2
    assert "does not say which environment it is" in unknown.stdout
    for environment, status, words in (("dev", 0, "changed=1"), ("prod", 2, "is prod")):
        guarded = playbook("seed_guard", environment)
        assert guarded.returncode == 0, guarded.stdout
        done = playbook("seed", environment)
        assert done.returncode == status, done.stdout
        assert words in done.stdout
        for secret in (CANARY, shop.server.password):
            assert secret not in guarded.stdout + done.stdout + done.stderr
