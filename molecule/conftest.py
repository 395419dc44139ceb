# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the verifications of several roles need. ``host`` is pytest-testinfra's: each test runs on each host."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from testinfra.host import Host

VERSIONS = {"bookworm": 15, "trixie": 17}


@pytest.fixture
def version(host: Host) -> int:
    """The major version of PostgreSQL that the host's Debian release has."""
    return VERSIONS[host.system_info.codename]


@pytest.fixture
def psql(host: Host) -> Callable[..., str]:
    """Run a statement as the superuser over the local socket; the result as psql prints it unaligned."""

    def run(statement: str, database: str = "postgres") -> str:
        command = "runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d %s -c %s"
        return str(host.check_output(command, database, statement))

    return run
