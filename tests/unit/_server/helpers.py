# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Specifications for the tests of this package."""

from __future__ import annotations

from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._server.spec import ServerSpec, parse
from ansible_collections.dbops.postgres.plugins.module_utils._server.state import (
    File,
    Live,
    LiveSetting,
    Observed,
    managed,
)

PARAMETERS: dict[str, Any] = {
    "version": 17,
    "cluster": "main",
    "port": 5432,
    "environment": "prod",
    "listen_addresses": [],
    "allow_any_address": "",
    "allow_all_keyword": False,
    "max_connections": 100,
    "workload": "oltp",
    "storage": "ssd",
    "memory_mb": None,
    "cores": None,
    "tls": {"certificate": "/tls/server.crt", "key": "/tls/server.key", "ca": "/tls/ca.crt", "min_version": "TLSv1.3"},
    "access_rules": [],
    "replication_rules": [],
    "local_method": "peer",
    "socket_permissions": "0770",
    "log_directory": "/var/log/postgresql",
    "log_file_mode": "0600",
    "log_min_duration_ms": 500,
    "log_statement": "none",
    "pgaudit_log": "ddl, role",
    "preload_libraries": [],
    "extensions": {"postgres": ["pgaudit"]},
    "settings": {},
    "data_mount": None,
    "write_paths": [],
    "checksums": "warn",
    "restart": "when_required",
    "start_timeout": 300,
}

RULE = {"databases": ["payments_db"], "users": ["payments_app"], "addresses": ["10.20.0.0/16"]}


def make(**changes: Any) -> ServerSpec:
    """A specification that differs from the usual one in these parameters."""
    return parse({**PARAMETERS, **changes})


def observed(spec: ServerSpec, texts: dict[str, str] | None = None, **changes: Any) -> Observed:
    """A running server with these files; its live settings are given by ``live``."""
    owners = dict(zip(managed(spec), ("postgres", "postgres", "postgres", "root"), strict=True))
    files = {
        path: File(text, 0o644 if owners[path] == "root" else 0o640, owners[path])
        for path, text in (texts or {}).items()
    }
    fields: dict[str, Any] = {
        "exists": True,
        "running": True,
        "data_directory": "/var/lib/postgresql/17/main",
        "tablespaces": (),
        "memory_mb": 4096,
        "cores": 2,
        "disk_mb": 100_000,
        "files": files,
        "changed_at": {},
        "checksums": True,
        "live": live(),
    }
    return Observed(**{**fields, **changes})


def live(settings: dict[str, LiveSetting] | None = None, **changes: Any) -> Live:
    """What a running server says."""
    fields: dict[str, Any] = {
        "port": 5432,
        "settings": settings or {},
        "loaded": 1000.0,
        "started": 900.0,
        "superusers": ("postgres",),
        "extensions": frozenset({("postgres", "pgaudit")}),
        "databases": frozenset({"postgres", "template1"}),
    }
    return Live(**{**fields, **changes})
