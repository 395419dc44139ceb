# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run whose pgbench ends otherwise than it should is no pass, however good its figures are."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._load import run as module
from tests.unit._load.test_load import make


@pytest.mark.parametrize(("status", "errors"), [(0, 0), (-9, 1), (2, 1)])
def test_a_pgbench_that_was_killed_is_an_error(status: int, errors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def pgbench(_command: object, _spec: object, directory: str, _secret: str) -> tuple[int, str]:
        lines = "".join(f"0 {number} 2000 0 {1000 + number // 100} 0\n" for number in range(300))
        (Path(directory) / "log.1").write_text(lines)
        return status, ""

    monkeypatch.setattr(module, "program", lambda: "pgbench")
    monkeypatch.setattr(module, "environment_of", lambda *_arguments: "demo@test")
    monkeypatch.setattr(module, "_pgbench", pgbench)
    result = module.run(make(), "canary")
    assert (result.transactions, result.errors, result.passed) == (300, errors, errors == 0)
