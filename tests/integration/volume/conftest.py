# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loop devices need root, and no device-mapper. What needs that is tested in a virtual machine by Molecule."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._volume import apply, observe, spec
from ansible_collections.dbops.postgres.plugins.module_utils._volume.apply import converge, exclusive
from ansible_collections.dbops.postgres.plugins.module_utils._volume.plan import NEW, Verb, plan
from ansible_collections.dbops.postgres.plugins.module_utils._volume.probe import Mapping, Signature
from ansible_collections.dbops.postgres.plugins.module_utils._volume.spec import VolumeSpec, volume_from
from tests.integration.volume.disks import TOOLS, command

DEFAULTS: dict[str, Any] = {
    "name": "pgdata_crypt",
    "state": "opened",
    "mountpoint": None,
    "filesystem": "ext4",
    "key": "the-key-of-this-year",
    "previous_key": None,
    "recovery_key": None,
    "recovery_recipients": [],
    "boot": "credential",
    "boot_seal": "host",
    "boot_key_file": "",
    "header_backup": True,
    "wipe_confirm": "",
    "discard": False,
    "nofail": False,
    "required_by": [],
    "pbkdf_memory": 64,
    "pbkdf_iterations": 4,
    "pbkdf_parallel": 1,
}


def declared(device: str, **options: Any) -> VolumeSpec:
    """A volume as the module's parameters declare it."""
    return volume_from({**DEFAULTS, "device": device, **options})


def run(volume: VolumeSpec) -> list[Verb]:
    """What the module does in a real run; returns what it did."""
    with exclusive(volume):
        wanted = plan(volume, observe.observe(volume))
        converge(volume, wanted)
    return [action.verb for action in wanted.actions]


@pytest.fixture(scope="session", autouse=True)
def tools() -> None:
    """The packages that make the disks; installed if they are missing."""
    if os.geteuid() != 0:
        pytest.fail("Loop devices need root.")
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool, path=path)})
    if missing:
        command("apt-get", "-q", "install", "--yes", "--no-install-recommends", *missing)
    os.environ["PATH"] = path


@pytest.fixture(autouse=True)
def own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine is touched."""
    monkeypatch.setattr(spec, "CREDENTIAL_DIRECTORY", str(tmp_path / "credstore"))
    monkeypatch.setattr(spec, "STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setattr(spec, "UNIT_DIRECTORY", str(tmp_path / "units"))
    for room in (observe, apply):
        monkeypatch.setattr(room, "CRYPTTAB", str(tmp_path / "crypttab"))
    monkeypatch.setattr(apply, "LOCK_DIRECTORY", str(tmp_path))


@pytest.fixture
def no_device_mapper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that whatever is formatted is open with a file system in it."""

    def mapping(device: Any) -> Mapping | None:
        header = device.header
        if header is None or header.subsystem == NEW:
            return None
        size = device.size - header.data_offset
        return Mapping("/dev/mapper/pgdata_crypt", True, size, "ext4", size, (Signature("ext4", 1080),))

    real = observe.observe_device
    seen: list[Any] = []

    def remember(path: str) -> Any:
        seen[:] = [real(path)]
        return seen[0]

    monkeypatch.setattr(observe, "observe_device", remember)
    monkeypatch.setattr(observe, "observe_mapping", lambda _name, _holders: mapping(seen[0]))
    for verb in (Verb.OPEN, Verb.MAKE_FILESYSTEM):
        monkeypatch.setitem(apply.ACTIONS, verb, lambda _spec, _action: None)
