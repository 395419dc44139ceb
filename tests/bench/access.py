# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pg_access task against community.postgresql in loops, over the same SSH connection, with nothing left to change.

    python -m tests.bench.access [--inventory FILE --host NAME]

For each size it declares N roles x (login + USAGE on a schema + grants on its tables) both ways in one playbook run,
checks that neither changes anything (so both see the same state as true), and prints the ratio of the seconds that
the tasks took. Without an inventory it uses the integration tests' PostgreSQL 17.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.integration.servers import GROUP, throwaway
from tests.throwaway import CHECKOUT, inventory_path

# roles -> the ratio that has to be reached; each role is three loop items
LIMITS = {20: 12.0, 100: 40.0}
TABLES = 20
DATABASE = "dbops_bench"


def playbook(roles: int, host: str) -> list[dict[str, Any]]:
    """The play: make it true, then both ways again."""
    names = [f"dbops_bench_{number}" for number in range(roles)]
    ours: dict[str, Any] = {
        "roles": [{"name": name, "login": True} for name in names],
        "databases": [
            {
                "name": DATABASE,
                "connect": names,
                "schemas": [
                    {
                        "name": "app",
                        "usage": names,
                        "tables": [{"privileges": ["SELECT", "INSERT", "UPDATE"], "roles": names}],
                    }
                ],
            }
        ],
    }
    common = {"login_db": DATABASE, "login_user": "postgres"}
    tables = "; ".join(f"CREATE TABLE IF NOT EXISTS app.t{number} (id int)" for number in range(TABLES))
    clean = [f"DROP DATABASE IF EXISTS {DATABASE}", *(f"DROP ROLE IF EXISTS {name}" for name in names)]
    return [
        {
            "hosts": host,
            "gather_facts": False,
            "become": True,
            "become_user": "postgres",
            "tasks": [
                {"name": "prepare", "dbops.postgres.pg_access": ours},
                {
                    "name": "tables",
                    "community.postgresql.postgresql_query": {**common, "query": tables},
                },
                {"name": "prepare again", "dbops.postgres.pg_access": ours},
                {
                    "name": "community 1",
                    "community.postgresql.postgresql_user": {
                        "name": "{{ item }}",
                        "role_attr_flags": "LOGIN",
                        **common,
                    },
                    "loop": names,
                },
                {
                    "name": "community 2",
                    "community.postgresql.postgresql_privs": {
                        "type": "schema",
                        "objs": "app",
                        "privs": "USAGE",
                        "roles": "{{ item }}",
                        **common,
                    },
                    "loop": names,
                },
                {
                    "name": "community 3",
                    "community.postgresql.postgresql_privs": {
                        "schema": "app",
                        "objs": "ALL_IN_SCHEMA",
                        "privs": "SELECT,INSERT,UPDATE",
                        "roles": "{{ item }}",
                        **common,
                    },
                    "loop": names,
                },
                {"name": "ours", "dbops.postgres.pg_access": ours},
                {
                    "name": "clean",
                    "community.postgresql.postgresql_query": {
                        "query": "{{ item }}",
                        "autocommit": True,
                        "login_user": "postgres",
                        "login_db": "postgres",
                    },
                    # The grants go with the database, so only the roles are left.
                    "loop": [clean[0]],
                },
                {
                    "name": "clean roles",
                    "community.postgresql.postgresql_query": {
                        "query": "; ".join(clean[1:]),
                        "login_user": "postgres",
                        "login_db": "postgres",
                    },
                },
            ],
        }
    ]


def measure(roles: int, inventory: Path, host: str) -> tuple[float, float]:
    """Seconds of community.postgresql and of pg_access.

    :raises RuntimeError: the playbook failed, or one of the measured tasks changed something.
    """
    with tempfile.TemporaryDirectory() as directory:
        play = Path(directory, "play.yml")
        play.write_text(json.dumps(playbook(roles, host)), encoding="utf-8")
        environment = {
            **os.environ,
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_HOST_KEY_CHECKING": "false",
            "ANSIBLE_INTERPRETER_PYTHON": "auto_silent",
        }
        done = subprocess.run(
            ["ansible-playbook", "-i", str(inventory), str(play)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
            cwd=CHECKOUT,
        )
    if done.returncode:
        raise RuntimeError(f"ansible-playbook failed: {done.stdout[-3000:]}{done.stderr[-1000:]}")
    seconds: dict[str, float] = {}
    for task in json.loads(done.stdout)["plays"][0]["tasks"]:
        name, duration = task["task"]["name"], task["task"]["duration"]
        seconds[name] = (_moment(duration["end"]) - _moment(duration["start"])).total_seconds()
        if name.startswith(("community", "ours")) and any(result.get("changed") for result in task["hosts"].values()):
            raise RuntimeError(f"task {name!r} changed something, so the two do not agree on what is true")
    theirs = sum(value for name, value in seconds.items() if name.startswith("community"))
    return theirs, seconds["ours"]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def main() -> int:
    """Measure every size; 1 when a ratio is below its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inventory", type=Path)
    parser.add_argument("--host")
    arguments = parser.parse_args()
    inventory, host = arguments.inventory, arguments.host
    if inventory is None:
        throwaway()
        inventory, host = inventory_path(GROUP), "pg17"
    failed = False
    for roles, limit in LIMITS.items():
        theirs, ours = measure(roles, inventory, host)
        ratio = theirs / ours
        verdict = "ok" if ratio >= limit else "TOO SLOW"
        failed |= ratio < limit
        print(
            f"pg_access, {3 * roles} items: {ratio:.0f}x faster than community.postgresql "
            f"({ours:.2f} s against {theirs:.1f} s; at least {limit:.0f}x): {verdict}",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
