# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter assurance_spec: a file of the controller, whole and valid, with what it refers to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.dbops.postgres.plugins.filter.assurance import assurance_spec

TEXT = """\
database: payments_db
plans:
  queries:
    - {name: a, sql: SELECT 1, max_ms: 5}
    - {name: b, file: queries/b.sql, max_ms: 5}
"""


def test_a_file_travels_with_the_statements_that_it_refers_to(tmp_path: Path) -> None:
    path = tmp_path / "db" / "payments.yml"
    (tmp_path / "db" / "queries").mkdir(parents=True)
    path.write_text(TEXT)
    (tmp_path / "db" / "queries" / "b.sql").write_text("SELECT 2;\n")
    found = assurance_spec(str(path))
    assert json.loads(json.dumps(found)) == found
    assert found["name"] == str(path)
    assert found["database"] == "payments_db"
    assert found["spec"]["plans"]["queries"][1] == {"name": "b", "max_ms": 5, "sql": "SELECT 2"}
    assert found["lines"]["plans.queries[1].file"] == 5


def test_its_content_and_the_database_of_the_login() -> None:
    assert assurance_spec({"database": "a"}) == {
        "name": "spec",
        "database": "a",
        "spec": {"database": "a"},
        "lines": {},
    }
    assert assurance_spec({"database": "a"}, "ci")["database"] == "ci"
    assert assurance_spec({})["database"] == "postgres"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "rls: {tenant_colum: a}\n",
            "a.yml:1: rls.tenant_colum: unknown key. Nothing was changed. Did you mean 'tenant_column'?",
        ),
        (
            "rls: {}\nconstraints:\n  minimum_coverage: 101\n",
            "a.yml:3: constraints.minimum_coverage: 101 is no percentage",
        ),
        ("indexes:\n  required:\n    - {table: t}\n", "a.yml:3: indexes.required[0].columns: "),
        ("plans:\n  queries:\n    - {name: a, sql: SELECT 1; SELECT 2}\n", "a.yml:3: plans.queries[0].sql: "),
        ("plans:\n  queries:\n    - {name: a, file: none.sql}\n", "a.yml:3: plans.queries[0].file: "),
        ("integrity:\n  nothing: {}\n", "a.yml:2: integrity.nothing: unknown key"),
        ("plan: {}\n", "a.yml:1: plan: there is no such section"),
    ],
)
def test_an_error_in_any_section_names_the_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.yml"
    path.write_text(text)
    with pytest.raises(AnsibleFilterError) as caught:
        assurance_spec(str(path))
    assert said in str(caught.value)
