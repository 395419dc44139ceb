# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters as Ansible gives them, to be broken one at a time."""

from __future__ import annotations

from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._pooler.plan import Live
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.spec import PoolerSpec, parse

DATABASE: dict[str, Any] = {
    "name": "payments_db",
    "users": ["payments_prod_app"],
    "addresses": None,
    "dbname": None,
    "host": None,
    "port": None,
    "pool_size": 10,
    "min_pool_size": None,
    "reserve_pool_size": None,
    "pool_mode": None,
}
PARAMS: dict[str, Any] = {
    "databases": [DATABASE],
    "addresses": ["127.0.0.1/32"],
    "listen_addresses": ["localhost"],
    "port": 6432,
    "server_host": "127.0.0.1",
    "server_port": 5432,
    "server_tls_mode": "verify-ca",
    "server_tls_ca": "/ca.crt",
    "tls_certificate": None,
    "tls_key": None,
    "auth_user": "dbops_pooler",
    "auth_password": "pooler-canary",
    "max_client_conn": 100,
    "pool_size": 5,
    "reserve_pool_size": 0,
    "max_connections": 100,
    "superuser_reserved": 3,
    "direct": {},
    "settings": {},
    "restart": "when_idle",
    "restart_wait": 60,
    "processes": 1,
}


def database(**changes: Any) -> dict[str, Any]:
    """One item of ``databases``."""
    return {**DATABASE, **changes}


def make(**changes: Any) -> PoolerSpec:
    """The specification with some parameters changed."""
    return parse({**PARAMS, **changes})


def live(settings: dict[str, str], databases: dict[str, dict[str, str]], clients: int = 0, files: int = 10_000) -> Live:
    """A running process that says this."""
    return Live(
        settings,
        frozenset({"listen_addr", "listen_port", "so_reuseport", "unix_socket_dir"}),
        databases,
        clients,
        files,
    )
