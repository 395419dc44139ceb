# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at one server with everything there is: SQL, the wire, the operating system."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from ansible_collections.dbops.postgres.plugins.module_utils._readiness import (
    backups,
    certificate,
    drills,
    host,
    leaks,
    observe,
    pooler,
    records,
)
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.observe import value
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import Observed, Server, Unseen

_LOCAL = ("", "localhost", "127.0.0.1", "::1")


def observed(login: Login, databases: Sequence[str], now: datetime.datetime) -> Observed:
    """See everything that can be seen from here. Never raises: what cannot be seen says why."""
    server = observe.observe(login, databases)
    if isinstance(server, Unseen):
        return Observed(
            server=server,
            host=server,
            certificate=server,
            weak_ciphers=server,
            leaks=server,
            stored_leaks=server,
            # A pooler may have a host of its own; whether a backup was proven does not depend on a server that is up.
            poolers=pooler.observe() if login.host in _LOCAL else server,
            load_test=pooler.load_test(now.timestamp()) if login.host in _LOCAL else server,
            drills=drills.observe(now) if login.host in _LOCAL else server,
            backups=backups.observe() if login.host in _LOCAL else server,
            records=records.observe(now.timestamp()) if login.host in _LOCAL else server,
        )
    remote = Unseen(
        Status.NOT_TESTED, "Connected over the network: files and processes of the server are out of sight."
    )
    return Observed(
        server=server,
        host=host.observe(server.settings) if login.host in _LOCAL else remote,
        leaks=leaks.observe(server.settings, now.timestamp()) if login.host in _LOCAL else remote,
        drills=drills.observe(now) if login.host in _LOCAL else remote,
        backups=backups.observe() if login.host in _LOCAL else remote,
        records=records.observe(now.timestamp()) if login.host in _LOCAL else remote,
        stored_leaks=leaks.stored(login, leaks.with_statements(server)),
        poolers=pooler.observe() if login.host in _LOCAL else remote,
        load_test=pooler.load_test(now.timestamp()) if login.host in _LOCAL else remote,
        certificate=certificate.presented(*address(login, server), now),
        weak_ciphers=certificate.weak_ciphers(value(server.settings, "ssl_ciphers")),
    )


def address(login: Login, server: Server) -> tuple[str, int]:
    """Where a TLS client finds the server: as it was reached, else the first address that it listens on."""
    port = int(value(server.settings, "port") or login.port)
    if login.host and not login.host.startswith("/"):
        return login.host, login.port
    listening = [item.strip() for item in value(server.settings, "listen_addresses").split(",") if item.strip()]
    first = listening[0] if listening else "localhost"
    return {"*": "localhost", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(first, first), port
