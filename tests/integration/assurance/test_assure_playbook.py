# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks assure_init and assure, from the controller against a server, and on the host of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._assurance.results import CHECKS
from ansible_collections.dbops.postgres.plugins.module_utils._evidence import CHECKS as RECORDS
from ansible_collections.dbops.postgres.plugins.module_utils._evidence import EVIDENCE
from tests.integration import schemas
from tests.integration.conftest import RunPlaybook
from tests.integration.servers import Database, Server, create_database, drop_database
from tests.throwaway import CHECKOUT

CONTROLS = {control for controls in CHECKS.values() for control in controls}
# A documentation address (RFC 5737): nobody answers there.
GONE = {"ansible_host": "192.0.2.1", "ansible_ssh_common_args": "-o ConnectTimeout=2"}


def run(tmp_path: Path, plays: list[dict[str, Any]], *more: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    """Run plays in a directory of their own, as an application's repository is one."""
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False}
    (tmp_path / "inventory.json").write_text(json.dumps({"all": {"hosts": {"here": here, "gone": GONE}}}))
    (tmp_path / "playbook.yml").write_text(json.dumps(plays))
    return subprocess.run(
        ["ansible-playbook", "-i", "inventory.json", "playbook.yml", *more, "-e", json.dumps(variables)],
        cwd=tmp_path,
        env={
            **os.environ,
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".cache" / "collections"),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def report(tmp_path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((tmp_path / "assurance-report" / "assurance.json").read_text())
    return data


def test_a_draft_then_the_proof_and_what_could_not_be_looked_at(pg_database: Database, tmp_path: Path) -> None:
    schemas.load(pg_database, "supabase_like")
    login = {f"assure_{name}": value for name, value in pg_database.login().items() if name != "login_db"}
    draft = {"import_playbook": "dbops.postgres.assure_init", "vars": {"dbops_hosts": "here"}}
    prove = {"import_playbook": "dbops.postgres.assure", "vars": {"dbops_hosts": "all"}}
    given = {
        **login,
        "assure_database": pg_database.name,
        "assure_specs": [f"{pg_database.name}.yml", {"database": f"{pg_database.prefix}absent"}],
    }

    done = run(tmp_path, [draft, prove], **given)
    print(done.stdout, done.stderr)
    assert done.returncode != 0
    assert (tmp_path / f"{pg_database.name}.yml").read_text().startswith("# A first draft")
    hosts = {host["name"]: host["verdicts"] for host in report(tmp_path)["hosts"]}
    looked_at = hosts.pop(f"here/{pg_database.name}")
    assert set(looked_at) == CONTROLS
    assert "error" not in looked_at.values(), report(tmp_path)
    assert set(hosts) == {
        f"here/{pg_database.prefix}absent",
        f"gone/{pg_database.name}",
        f"gone/{pg_database.prefix}absent",
    }
    assert all(verdicts == dict.fromkeys(CONTROLS, "error") for verdicts in hosts.values())
    assert "could not be looked at" in done.stdout + done.stderr
    for name in ("html", "md", "xml"):
        assert (tmp_path / "assurance-report" / f"assurance.{name}").stat().st_size > 0
    assert str(pg_database.server.password) not in done.stdout + done.stderr

    (tmp_path / "wrong.yml").write_text("database: a\nindexes:\n  requird: []\n")
    done = run(tmp_path, [prove], **{**given, "assure_specs": ["wrong.yml"]})
    assert (
        "wrong.yml:3: indexes.requird: unknown key. Nothing was changed. Did you mean 'required'?"
        in done.stdout + done.stderr
    )
    before = (tmp_path / f"{pg_database.name}.yml").read_text()
    done = run(tmp_path, [draft], **given)
    assert "exists and was left as it is" in done.stdout + done.stderr
    assert (tmp_path / f"{pg_database.name}.yml").read_text() == before


def test_in_a_pipeline(pg_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schemas.load(pg_database, "chinook_like")
    server = pg_database.server
    for name, value in {"PGHOST": server.host, "PGUSER": server.user, "PGPASSWORD": server.password}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ASSURE_DATABASE", pg_database.name)
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "payments.yml").write_text("database: payments_db\nconstraints: {minimum_coverage: 100}\n")
    prove = [{"import_playbook": "dbops.postgres.assure"}]
    file = f"@{CHECKOUT / 'docs' / 'ci' / 'assure.ci.yml'}"

    done = run(tmp_path, prove, "-e", file, assure_login_port=server.port)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    (host,) = report(tmp_path)["hosts"]
    assert host["name"] == f"localhost/{pg_database.name}"
    assert host["verdicts"]["T-2"] == "pass"
    done = run(tmp_path, prove, "-e", file, assure_i_know_this_is_production="yes")
    assert done.returncode != 0
    assert "must be prove the databases of the production server" in done.stdout + done.stderr
    done = run(tmp_path, prove, "-e", file, assure_specs=["db/payments.yml", {"database": "payments_db"}])
    assert "Two spec files are for the same database" in done.stdout + done.stderr
    done = run(tmp_path, prove, "-e", file, assure_specs=[])
    assert "assure_specs names no spec file for localhost" in done.stdout + done.stderr


def test_on_the_host_by_its_socket_with_evidence(pg_server: Server, run_playbook: RunPlaybook, tmp_path: Path) -> None:
    database = create_database(pg_server)
    try:
        schemas.load(database, "chinook_like")
        done = run_playbook(
            [
                {"import_playbook": "dbops.postgres.assure", "vars": {"dbops_hosts": "all"}},
                {
                    "hosts": "all",
                    "gather_facts": False,
                    "tasks": [
                        {
                            "ansible.builtin.command": f"find {EVIDENCE}/{RECORDS}",
                            "register": "left",
                        },
                        {"ansible.builtin.debug": {"var": "left.stdout_lines"}},
                        {"ansible.builtin.command": f"rm -r {EVIDENCE}/{RECORDS}"},
                    ],
                },
            ],
            "-e",
            json.dumps(
                {
                    "assure_specs": [{"database": database.name}],
                    "assure_fail_on": "never",
                    "assure_report_dir": str(tmp_path / "assurance-report"),
                }
            ),
        )
    finally:
        drop_database(database)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    (host,) = report(tmp_path)["hosts"]
    assert set(host["verdicts"]) == CONTROLS
    assert "error" not in host["verdicts"].values(), report(tmp_path)
    for check in CHECKS:
        assert f"{check}--{database.name}.json" in done.stdout
