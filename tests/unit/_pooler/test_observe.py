# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's pooler as others left it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.observe import _file, running


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pgbouncer.ini"
    path.write_bytes("; für die Kasse\n".encode("latin-1"))
    with pytest.raises(DbopsError, match=r"pgbouncer\.ini is not in UTF-8"):
        _file(str(path))
    assert _file(str(tmp_path / "none")) is None


def test_a_process_that_waits_to_be_started_again_does_not_run() -> None:
    def systemctl(arguments: Sequence[str]) -> tuple[int, str, str]:
        if arguments[1] == "list-units":
            return 0, "pgbouncer.service loaded activating auto-restart\ndbops-pgbouncer@2.service loaded active\n", ""
        return 0, {"pgbouncer.service": "0\n", "dbops-pgbouncer@2.service": "71\n"}[arguments[-1]], ""

    assert running(systemctl) == [2]
