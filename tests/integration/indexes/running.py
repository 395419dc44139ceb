# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module in this process against a test's database."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from tests.integration.servers import Database


def run_module(
    capsys: pytest.CaptureFixture[str], module: ModuleType, database: Database, *, check: bool = False, **options: Any
) -> dict[str, Any]:
    """Run a module's main and return what it said; ``failed`` is there when it failed."""
    arguments = {**database.login(), **options, "_ansible_check_mode": check}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer
