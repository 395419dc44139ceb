# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/assurance.md: its examples are valid, and between them they have every key that a section knows."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.dbops.postgres.plugins.module_utils import _specfile
from ansible_collections.dbops.postgres.plugins.module_utils._assurance.results import CHECKS
from ansible_collections.dbops.postgres.plugins.module_utils._assurance.whole import validate
from ansible_collections.dbops.postgres.plugins.module_utils._constraints import run as constraints
from ansible_collections.dbops.postgres.plugins.module_utils._rls import spec as rls
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SECTIONS, load

CHECKOUT = Path(__file__).resolve().parents[3]
GUIDE = (CHECKOUT / "docs" / "assurance.md").read_text(encoding="utf-8")
EXAMPLES = [text for text in re.findall(r"^```yaml\n(.*?)^```$", GUIDE, re.S | re.M) if text.startswith("database:")]


FILES = sorted((CHECKOUT / "docs" / "examples").glob("*.yml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_whole_file_is_valid(path: Path) -> None:
    validate(load(path.read_text(encoding="utf-8"), path.name))


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_valid(text: str) -> None:
    validate(load(text, "docs/assurance.md"))


def test_there_is_an_example_for_each_section() -> None:
    assert {key for text in EXAMPLES for key in load(text, "x").data} == {"database", *SECTIONS}


def test_every_key_that_a_section_knows_is_in_its_example(monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, set[str]] = {}
    real = _specfile.only

    def only(data: Mapping[str, Any], keys: Iterable[str], where: _specfile.Where) -> None:
        names = list(keys)
        known.setdefault(str(where[0]), set()).update(names)
        real(data, names, where)

    for name, module in list(sys.modules.items()):
        if "module_utils._" in name and getattr(module, "only", None) is real:
            monkeypatch.setattr(module, "only", only)
    for text in EXAMPLES:
        validate(load(text, "docs/assurance.md"))
    assert set(known) == set(SECTIONS)
    for text in EXAMPLES:
        for section in load(text, "x").data:
            missing = [key for key in known.get(section, ()) if not re.search(rf"\b{re.escape(key)}: ?", text)]
            assert missing == [], section


def test_the_guide_names_each_check_with_its_controls() -> None:
    for check, controls in CHECKS.items():
        (row,) = [line for line in GUIDE.splitlines() if line.startswith(f"| `{check}` |")]
        assert all(control in row for control in controls)


def test_the_guide_has_every_variable_of_the_playbooks() -> None:
    given = set()
    for name in ("assure", "assure_init"):
        text = (CHECKOUT / "playbooks" / f"{name}.yml").read_text(encoding="utf-8")
        given |= set(re.findall(r"\b(assure_\w+) (?:\| default|is not defined)", text)) - {"assure_results"}
    documented = set(re.findall(r"`(assure_\w+)`", GUIDE))
    documented |= {f"assure_login_{name}" for name in ("unix_socket", "port", "user", "password", "db")}
    assert given <= documented


def test_production_is_said_in_the_words_that_the_checks_want() -> None:
    playbook = (CHECKOUT / "playbooks" / "assure.yml").read_text(encoding="utf-8")
    assert f"'{rls.PRODUCTION_WORDS}'" in playbook
    assert f"'{constraints.PRODUCTION_WORDS}'" in playbook
    (words,) = re.findall(r"assure_words: (.*)", playbook)
    assert f"`{words}`" in GUIDE


def test_the_files_of_the_pipelines_give_variables_that_exist() -> None:
    data = yaml.safe_load((CHECKOUT / "docs" / "ci" / "assure.ci.yml").read_text(encoding="utf-8"))
    playbook = (CHECKOUT / "playbooks" / "assure.yml").read_text(encoding="utf-8")
    assert all(re.search(rf"\b{name}\b", playbook) for name in data if name.startswith("assure_"))
