# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throwaway hosts: systemd containers that a test or the demo creates and destroys.

hosts = up("mine", [HostSpec("db1", "debian13"), HostSpec("db2", "debian12")])
hosts[0].run("hostname")
down("mine")
"""

from __future__ import annotations

from tests.throwaway.hosts import Host, HostSpec, clean, down, hosts, inventory_path, up
from tests.throwaway.images import build
from tests.throwaway.podman import CHECKOUT, HostError
from tests.throwaway.recipe import IMAGES

__all__ = [
    "CHECKOUT",
    "IMAGES",
    "Host",
    "HostError",
    "HostSpec",
    "build",
    "clean",
    "down",
    "hosts",
    "inventory_path",
    "up",
]
