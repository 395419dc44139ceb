# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drain file: that of another migration and that of a person stay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._migration import drain


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "drain"


def test_two_databases_of_one_host(path: Path) -> None:
    assert drain.hold(str(path), "1", "shop")
    assert drain.hold(str(path), "2", "shop_two")
    drain.release(str(path), "shop")
    assert path.read_text() == "migration 2 of 'shop_two'\n"
    drain.release(str(path), "shop_two")
    assert not path.exists()
    drain.release(str(path), "shop_two")


@pytest.mark.parametrize("text", ["", "new disks\n"])
def test_what_a_person_has_set_stays(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    assert not drain.hold(str(path), "1", "shop")
    drain.release(str(path), "shop")
    assert path.read_text() == text


def test_nothing_was_ever_set(path: Path) -> None:
    drain.release(str(path), "shop")
    assert not path.parent.exists()


def test_a_host_without_psycopg2_says_so() -> None:
    code = """
import sys
sys.modules["psycopg2"] = None
from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._migration import record, run, source
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_spec import spec_from
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_state import Store
spec = spec_from({"database": "shop"})
found = record.Record("1", "shop", "h", "w", "now")
files = source.arrange({"1_a.sql": b"SELECT 1;"})
run.Run(spec, files, None, _postgres.Login(), Store("shop", "/nonexistent"), found).hold()
print(found.verdict, found.words)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "as before" in done.stdout, done.stderr
    assert "psycopg2 is missing on this host" in done.stdout
