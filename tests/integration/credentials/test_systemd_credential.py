# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module on real hosts: systemd 252 and 257 seal, open and load what it delivers."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.credentials.conftest import play
from tests.throwaway import Host, HostError

SEALED = "/etc/credstore.encrypted"
PLAIN = "/etc/dbops-postgres/secrets"


@dataclass
class App:
    """A unit that writes the sums of its credentials into a file, and what it is given."""

    host: Host
    directory: Path
    name: str

    @property
    def unit(self) -> str:
        return f"{self.name}.service"

    def deliver(self, *credentials: dict[str, Any], arguments: tuple[str, ...] = ()) -> dict[str, Any]:
        """Run the module and return its result."""
        result = f"/run/{self.name}.result"
        tasks = [
            {"dbops.postgres.systemd_credential": {"credentials": list(credentials)}, "register": "done"},
            {
                "ansible.builtin.copy": {"dest": result, "content": "{{ done | to_json }}", "mode": "0600"},
                "check_mode": False,
                "diff": False,
            },
        ]
        plays = [{"hosts": "all", "gather_facts": False, "tasks": tasks}]
        status, self.output = play(plays, self.host, self.directory, "--diff", *arguments)
        assert status == 0, self.output
        found: dict[str, Any] = json.loads(self.host.run("cat", result))
        return found

    def reads(self) -> dict[str, str]:
        """What the unit finds after a restart: name and SHA-256 of each credential."""
        self.host.run("systemctl", "restart", self.unit)
        lines = self.host.run("cat", f"/run/{self.name}/sums").splitlines()
        return {line.split("/")[-1]: line.split()[0] for line in lines}


@pytest.fixture
def app(host: Host, tmp_path: Path) -> Generator[App, None, None]:
    name = f"app{secrets.token_hex(4)}"
    unit = f"""[Service]
Type=exec
DynamicUser=yes
RuntimeDirectory={name}
ExecStartPre=/bin/sh -c 'sha256sum $CREDENTIALS_DIRECTORY/* >/run/{name}/sums'
ExecStart=/bin/sleep infinity
"""
    host.run("tee", f"/etc/systemd/system/{name}.service", text=unit)
    host.run("systemctl", "daemon-reload")
    yield App(host, tmp_path, name)
    host.run("systemctl", "stop", f"{name}.service")
    host.run("sh", "-c", f"rm -rf /etc/systemd/system/{name}.service* {SEALED}/{name}* {PLAIN}/{name}* /run/{name}*")
    host.run("systemctl", "daemon-reload")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def stat(host: Host, path: str) -> str:
    return host.run("stat", "-c", "%a %U:%G", path).strip()


def test_a_service_reads_what_is_sealed_and_a_second_run_changes_nothing(app: App) -> None:
    url = f"postgresql://a:canary-{app.name}-ü%20@db/x\nsecond line\n"
    credential = {"name": f"{app.name}_url", "value": url, "units": [app.unit]}
    predicted = app.deliver(credential, arguments=("--check",))
    assert predicted["changed"]
    done = app.deliver(credential)
    assert {key: done[key] for key in ("changed", "actions", "diff", "units")} == {
        key: predicted[key] for key in ("changed", "actions", "diff", "units")
    }
    assert app.reads() == {f"{app.name}_url": sha256(url)}
    assert stat(app.host, SEALED) == "700 root:root"
    assert stat(app.host, f"{SEALED}/{app.name}_url") == "600 root:root"
    again = app.deliver(credential)
    assert (again["changed"], again["actions"], again["active_units"]) == (False, [], [])


def test_a_new_value_is_for_the_units_that_run(app: App) -> None:
    name = f"{app.name}_url"
    app.deliver({"name": name, "value": "first", "units": [app.unit]})
    assert app.reads() == {name: sha256("first")}
    done = app.deliver({"name": name, "value": "second", "units": [app.unit]})
    assert done["actions"] == [f"seal {SEALED}/{name}"]
    assert done["active_units"] == [app.unit]
    assert app.reads() == {name: sha256("second")}


def test_what_is_generated_stays_until_it_goes(app: App) -> None:
    item = {"name": f"{app.name}_key", "generate": 40, "units": [app.unit]}
    app.deliver(item)
    first = app.reads()
    assert not app.deliver(item)["changed"]
    assert app.reads() == first
    done = app.deliver({**item, "generate": None, "state": "absent"})
    assert done["units"] == [app.unit]
    with pytest.raises(HostError):
        app.host.run("ls", f"{SEALED}/{app.name}_key", f"/etc/systemd/system/{app.unit}.d/50-credential-{app.name}_key")
    app.deliver(item)
    assert app.reads() != first


def test_what_another_host_sealed_is_replaced_but_never_generated_anew(app: App) -> None:
    name = f"{app.name}_url"
    app.host.run("sh", "-c", f"install -d -m 700 {SEALED}; echo AAAA >{SEALED}/{name}")
    plays = [
        {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [{"dbops.postgres.systemd_credential": {"credentials": [{"name": name, "generate": 40}]}}],
        }
    ]
    status, output = play(plays, app.host, app.directory)
    assert status != 0
    assert "is there but cannot be opened" in output
    assert app.host.run("cat", f"{SEALED}/{name}") == "AAAA\n"
    done = app.deliver({"name": name, "value": "new", "units": [app.unit]})
    assert "cannot be opened" in done["diff"]["before"]
    assert app.reads() == {name: sha256("new")}


def test_a_file_has_its_mode_and_owner_from_the_start(app: App) -> None:
    item = {"name": f"{app.name}_file", "value": "canary", "delivery": "file", "owner": "postgres", "group": "postgres"}
    app.deliver(item)
    path = f"{PLAIN}/{app.name}_file"
    assert stat(app.host, path) == "400 postgres:postgres"
    assert app.host.run("runuser", "-u", "postgres", "--", "cat", path) == "canary"
    assert not app.deliver(item)["changed"]
    app.host.run("chmod", "644", path)
    done = app.deliver(item)
    assert done["actions"] == [f"set mode 0400 and owner postgres:postgres of {path}"]
    assert stat(app.host, path) == "400 postgres:postgres"


def test_a_run_that_was_killed_leaves_nothing_in_the_way(app: App) -> None:
    name = f"{app.name}_url"
    app.host.run("sh", "-c", f"install -d -m 700 {SEALED}; echo half >{SEALED}/.{name}.new")
    app.deliver({"name": name, "value": "x"})
    assert app.host.run("ls", "-A", SEALED).split().count(f".{name}.new") == 0


def test_a_canary_is_in_no_output_and_in_no_file_but_the_file_that_was_asked_for(app: App) -> None:
    canary = f"canary{secrets.token_hex(12)}"
    app.deliver(
        {"name": f"{app.name}_url", "value": canary, "units": [app.unit]},
        {"name": f"{app.name}_file", "value": f"{canary}-file", "delivery": "file"},
        arguments=("-vvv",),
    )
    assert canary not in app.output
    found = app.host.run(
        "sh", "-c", "read c; grep -rlF -e $c /etc /home /opt /root /run /srv /tmp /var || true", text=canary
    )
    assert found.split() == [f"{PLAIN}/{app.name}_file"]
    assert (
        app.host.run("sh", "-c", "read c; journalctl --no-pager | grep -cF -e $c || true", text=canary).strip() == "0"
    )
