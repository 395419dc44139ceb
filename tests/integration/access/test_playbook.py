# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Through Ansible itself: what a person at the most verbose terminal sees, and the register on the controller."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.servers import Database

ROOT = Path(__file__).parents[3]
CANARIES = ("Canary-app-91", "Canary-migrator-91", "Canary-person-91", "SCRAM-SHA-256")


def ansible(play: Path, *arguments: str) -> str:
    """The whole output of a playbook run on this machine.

    :raises AssertionError: it failed.
    """
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", str(play), *arguments],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def role_play(database: Database, directory: Path) -> Path:
    """The role access with one service, whose roles have the prefix of the test."""
    login = {f"access_{key}": value for key, value in database.login().items()}
    service = database.prefix + "pay"
    variables: dict[str, Any] = {
        **login,
        "access_environment": "prod",
        "access_services": [{"name": service, "database": database.name, "readonly": [database.prefix + "person"]}],
        "access_roles": [{"name": database.prefix + "person", "login": True}],
        "access_passwords": {
            f"{service}_prod_app": CANARIES[0],
            f"{service}_prod_migrator": CANARIES[1],
            f"{database.prefix}person": CANARIES[2],
        },
    }
    common = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable, **variables},
    }
    # The role's other task installs a package.
    task = {"ansible.builtin.include_role": {"name": "dbops.postgres.access"}}
    play = directory / "play.yml"
    play.write_text(json.dumps([{**common, "tasks": [task]}]), encoding="utf-8")
    return play


def test_no_password_is_in_the_most_verbose_output(pg_database: Database, tmp_path: Path) -> None:
    play = role_play(pg_database, tmp_path)
    for arguments in (("--check",), (), ()):
        output = ansible(play, "-vvv", "--diff", "--skip-tags", "access_install", *arguments)
        assert "Make the declared access true" in output
        for canary in CANARIES:
            assert canary not in output
    assert "changed=0" in output
    connection = pg_database.connect(pg_database.prefix + "pay_prod_app", CANARIES[0])
    connection.close()


def test_the_register_is_written_and_stays_the_same(pg_database: Database, tmp_path: Path) -> None:
    ansible(role_play(pg_database, tmp_path), "--skip-tags", "access_install")
    directory = tmp_path / "register"
    variables = {
        "dbops_hosts": "localhost",
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
        "access_register_dir": str(directory),
        "access_register_databases": [pg_database.name],
        **{f"access_{key}": value for key, value in pg_database.login().items()},
    }
    play = ROOT / "playbooks" / "access_register.yml"
    ansible(play, "-e", json.dumps(variables))
    text = (directory / "localhost" / f"{pg_database.name}.csv").read_text(encoding="utf-8")
    person = pg_database.prefix + "person"
    assert f"localhost,{pg_database.name},,database,{pg_database.name},{person},CONNECT,grant\n" in text
    assert f"# Access register of database {pg_database.name} on localhost" in (
        directory / "localhost" / f"{pg_database.name}.md"
    ).read_text(encoding="utf-8")
    assert "changed=0" in ansible(play, "-e", json.dumps(variables))
