# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throwaway hosts: groups of systemd containers on a network of their own, reached over SSH as real hosts are."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.steps import step
from tests.throwaway.images import build
from tests.throwaway.podman import CHECKOUT, STATE, HostError, podman
from tests.throwaway.recipe import AUTHORIZED_KEYS

LABEL = "dbops.postgres"
CLONE = hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:6]
BOOT_TIMEOUT_SECONDS = 60

# What a real host has and podman's default takes away: systemd's sandboxes and credentials need mounts, nftables the
# network. Devices stay out of reach.
RUN_OPTIONS = (
    "--systemd=always",
    "--cap-add=SYS_ADMIN",
    "--cap-add=NET_ADMIN",
    "--security-opt=label=disable",
    "--security-opt=apparmor=unconfined",
    "--security-opt=seccomp=unconfined",
    "--pids-limit=16384",
    "--shm-size=1g",
)

# As on a real host, mounts are shared: systemd leaves that to the container's manager, and without it a service does
# not see its credentials.
INIT = ("/bin/sh", "-c", "mount --make-rshared / && exec /sbin/init")


@dataclass(frozen=True)
class HostSpec:
    """A host to be made. Hosts of a group find each other by ``name``."""

    name: str
    image: str


@dataclass(frozen=True)
class Host:
    """A running host."""

    name: str
    image: str
    group: str
    address: str
    container: str

    @property
    def variables(self) -> dict[str, str]:
        """How Ansible reaches it."""
        return {
            "ansible_host": self.address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(_key()),
            "ansible_ssh_common_args": shlex.join(_ssh_options(self.container)),
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    def ssh_command(self, *command: str) -> list[str]:
        """The command line that runs a command on it, or a shell."""
        line = ["ssh", *_ssh_options(self.container), "-i", str(_key()), f"root@{self.address}"]
        return [*line, shlex.join(command)] if command else line

    def run(self, *command: str, text: str = "", timeout: float = 300) -> str:
        """Run a command as root and return its standard output.

        :param text: its standard input: the place for what must not be seen in its arguments.
        :raises HostError: it failed.
        """
        done = subprocess.run(
            self.ssh_command(*command), input=text, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode != 0:
            tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
            raise HostError(f"{self.name}: {command[0]} ended with status {done.returncode}:\n{tail}")
        return done.stdout


def up(group: str, specs: Sequence[HostSpec], *, keep: bool = False) -> list[Host]:
    """Make the hosts of a group, wait until they have booted, and write their inventory.

    :param keep: use the hosts that run already, if they are the same; otherwise whatever an earlier run left of the
        group is removed first.
    :raises HostError: with the reason and what to do.
    """
    images = build(*(spec.image for spec in specs))
    existing = hosts(group)
    if keep and {(host.name, host.image) for host in existing} == {(spec.name, spec.image) for spec in specs}:
        references = {host.name: _image_of(host) for host in existing}
        if all(references[spec.name] == images[spec.image] for spec in specs):
            write_inventory(existing)
            return existing
    names = ", ".join(f"{spec.name} ({spec.image})" for spec in specs)
    with step(f"hosts {names}"):
        _remove(group)
        key = _key()
        network = f"dbops-{CLONE}-{group}"
        podman("network", "create", *_labels(group), network)
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(lambda spec: _start(group, network, spec, images[spec.image], key), specs))
        made = hosts(group)
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(_wait, made))
        write_inventory(made)
    return made


def down(group: str) -> None:
    """Remove the hosts of a group and their network."""
    with step(f"hosts of {group} removed"):
        _remove(group)


def clean() -> None:
    """Remove all hosts and networks of this checkout. Images stay."""
    with step("throwaway hosts removed"):
        _remove(None)


def hosts(group: str | None = None) -> list[Host]:
    """The running hosts of a group, or of this checkout."""
    ids = podman("ps", "--quiet", *_filters(group)).split()
    if not ids:
        return []
    found = []
    for item in json.loads(podman("inspect", *ids)):
        labels = item["Config"]["Labels"]
        [network] = item["NetworkSettings"]["Networks"].values()
        found.append(
            Host(
                name=item["Config"]["Hostname"],
                image=labels[f"{LABEL}.image"],
                group=labels[f"{LABEL}.group"],
                address=network["IPAddress"],
                container=item["Id"][:12],
            )
        )
    return sorted(found, key=lambda host: (host.group, host.name))


def inventory_path(group: str) -> Path:
    """Where the inventory of a group is written."""
    return STATE / group / "inventory.yml"


def write_inventory(members: Iterable[Host]) -> None:
    """Write the inventory of the hosts' group: JSON, which is YAML."""
    listed = list(members)
    inventory: dict[str, Any] = {"all": {"hosts": {host.name: host.variables for host in listed}}}
    path = inventory_path(listed[0].group)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")  # another process may be reading it
    new.write_text(json.dumps(inventory, indent=2) + "\n")
    new.replace(path)


def _start(group: str, network: str, spec: HostSpec, reference: str, key: Path) -> None:
    podman(
        "run",
        "--detach",
        *_labels(group),
        f"--label={LABEL}.image={spec.image}",
        f"--name=dbops-{CLONE}-{group}-{spec.name}",
        f"--hostname={spec.name}",
        f"--network={network}",
        f"--network-alias={spec.name}",
        f"--volume={key}.pub:{AUTHORIZED_KEYS}:ro",
        *RUN_OPTIONS,
        reference,
        *INIT,
    )


def _wait(host: Host) -> None:
    end = time.monotonic() + BOOT_TIMEOUT_SECONDS
    while not _greets(host.address):
        if time.monotonic() > end:
            logs = podman("logs", "--tail=20", host.container)
            raise HostError(f"{host.name} did not answer on port 22 in {BOOT_TIMEOUT_SECONDS} s:\n{logs}")
        time.sleep(0.05)
    # The stamp says that the package lists are fresh: they fit the archives of the image, and need no network.
    host.run(
        "sh",
        "-c",
        "systemctl is-system-running --wait >/dev/null || { systemctl --failed --no-legend --plain; exit 1; }; "
        "mkdir -p /var/lib/apt/periodic; touch /var/lib/apt/periodic/update-success-stamp",
    )


def _greets(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _remove(group: str | None) -> None:
    ids = podman("ps", "--all", "--quiet", *_filters(group)).split()
    if ids:
        podman("rm", "--force", "--time=0", "--volumes", *ids)
    networks = podman("network", "ls", "--quiet", *_filters(group)).split()
    if networks:
        podman("network", "rm", "--force", *networks)


def _image_of(host: Host) -> str:
    return podman("inspect", "--format={{.ImageName}}", host.container).strip()


def _labels(group: str) -> list[str]:
    return [f"--label={LABEL}.clone={CLONE}", f"--label={LABEL}.group={group}"]


def _filters(group: str | None) -> list[str]:
    filters = [f"--filter=label={LABEL}.clone={CLONE}"]
    if group is not None:
        filters.append(f"--filter=label={LABEL}.group={group}")
    return filters


def _ssh_options(container: str) -> list[str]:
    # A control path per container: a connection to a removed one is never taken for one to its successor.
    sockets = Path.home() / ".ansible" / "cp"
    sockets.mkdir(parents=True, exist_ok=True, mode=0o700)
    options = {
        "IdentitiesOnly": "yes",
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "LogLevel": "ERROR",
        "ConnectTimeout": "10",
        "ControlMaster": "auto",
        "ControlPersist": "60s",
        "ControlPath": str(sockets / container),
    }
    return ["-F", "/dev/null", *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]


def _key() -> Path:
    path = STATE / "id_ed25519"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "throwaway", "-f", str(path)], check=True)
    return path
