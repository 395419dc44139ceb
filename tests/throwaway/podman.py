# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Podman with a configuration of our own, so that it runs where its defaults do not and leaves the machine's alone."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
STATE = CHECKOUT / ".cache" / "throwaway"

# What podman gives to a container of root by default, and what a systemd host needs at most.
MOST_FILES = 1_048_576
MOST_PROCESSES = 32_768

ADVICE = (
    ("No such file or directory: 'sudo'", "Run as root, or install sudo."),
    ("No such file or directory", "Install podman and its parts: make hosts."),
    ("executable file not found", "Install podman and its parts: make hosts."),
    ("a password is required", "Run as root, or allow this user to use sudo without a password."),
    ("cgroup", "The machine's cgroups are not usable: systemd containers need /sys/fs/cgroup mounted and writable."),
    ("netavark", "Check that netavark, aardvark-dns and iptables are installed and that the kernel allows bridges."),
    ("iptables", "Check that netavark, aardvark-dns and iptables are installed and that the kernel allows bridges."),
    ("rlimit", "The caller's limits (ulimit -Hn, ulimit -Hu) are too low or may not be set."),
    ("overlay", "The file system below /var/lib/containers cannot carry overlays: mount another one there."),
    ("unshare", "This user may not create namespaces: run as root, or in a container with --privileged."),
    ("Operation not permitted", "Namespaces are refused: run as root, or in a container with --privileged."),
    ("no space left", "The disk is full: podman system prune."),
)


class HostError(Exception):
    """Throwaway hosts cannot be made; the text says why and what to do."""


def as_root(command: Sequence[str]) -> list[str]:
    """The command as root runs it: through sudo, if we are not root."""
    return list(command) if os.geteuid() == 0 else ["sudo", *command]


def containers_conf(*, hybrid_cgroups: bool, systemd: bool, files: int, processes: int) -> str:
    """The text of containers.conf: only what podman's defaults get wrong on this machine.

    :param hybrid_cgroups: cgroups are not of version 2 alone, which crun refuses.
    :param systemd: systemd runs this machine; otherwise there is no journal and nobody to ask for a cgroup.
    :param files: the caller's hard limit of open files; a container may not be given more. Negative: unlimited.
    :param processes: the same for processes.
    """
    lines = [
        "[containers]",
        f'default_ulimits = ["nofile={_at_most(files, MOST_FILES)}", "nproc={_at_most(processes, MOST_PROCESSES)}"]',
    ]
    if not systemd:
        lines.append('log_driver = "k8s-file"')
    lines.append("[engine]")
    if hybrid_cgroups:
        lines.append('runtime = "runc"')
    if not systemd:
        lines += ['cgroup_manager = "cgroupfs"', 'events_logger = "file"']
    lines += ["[network]", 'network_backend = "netavark"']  # the other one has no names
    return "\n".join(lines) + "\n"


def _at_most(limit: int, most: int) -> str:
    value = most if limit < 0 else min(limit, most)
    return f"{value}:{value}"


def podman(*arguments: str, text: str | None = None, timeout: float = 120) -> str:
    """Run podman and return its standard output.

    :param text: its standard input.
    :raises HostError: it failed, or took longer than ``timeout`` seconds.
    """
    try:
        done = subprocess.run(
            command(*arguments), input=text or "", capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise HostError(f"podman {arguments[0]} took longer than {timeout:.0f} s and was stopped.") from None
    except OSError as error:
        raise HostError(explain(str(error))) from None
    if done.returncode != 0:
        raise HostError(explain(f"podman {' '.join(arguments[:2])}: {done.stderr.strip()}"))
    return done.stdout


def command(*arguments: str) -> list[str]:
    """The command line of podman with our configuration."""
    return as_root(["env", f"CONTAINERS_CONF={_configuration()}", "podman", *arguments])


def explain(error: str) -> str:
    """Podman's message, and what to do about it if we know."""
    advice = next((text for sign, text in ADVICE if sign in error), "See what podman info says.")
    return f"Podman cannot run throwaway hosts here. {error}\n{advice}"


def _configuration() -> Path:
    path = STATE / "containers.conf"
    text = containers_conf(
        hybrid_cgroups=not Path("/sys/fs/cgroup/cgroup.controllers").exists(),
        systemd=Path("/run/systemd/system").is_dir(),
        files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        processes=resource.getrlimit(resource.RLIMIT_NPROC)[1],
    )
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return path
