# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The spec file of a database: data, lines, and errors that name them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given as forall
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.doc_fragments.assurance import ModuleDocFragment
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import (
    SPEC_ARGUMENTS,
    SpecError,
    database,
    dotted,
    from_data,
    given,
    load,
    only,
)

TEXT = """\
# The practice's database.
database: aria_db
rls:
  identities:
    - role: app
      settings:
        app.tenant_id: '1'
    - {role: worker, settings: {}}
integrity:
"""


def test_every_key_and_element_has_its_line() -> None:
    spec = load(TEXT, "aria.yml")
    assert spec.database == "aria_db"
    assert spec.section("rls")["identities"][0] == {"role": "app", "settings": {"app.tenant_id": "1"}}
    assert spec.line(("database",)) == 2
    assert spec.line(("rls", "identities", 0, "settings", "app.tenant_id")) == 7
    assert spec.line(("rls", "identities", 1)) == 8
    assert spec.line(("rls", "identities", 1, "role")) == 8


def test_what_is_missing_has_the_line_of_what_should_contain_it() -> None:
    spec = load(TEXT, "aria.yml")
    assert spec.line(("rls", "identities", 0, "settings", "missing")) == 6
    assert spec.line(("plans",)) == 1
    assert spec.line(()) == 1


def test_a_section_that_is_absent_or_empty_is_empty() -> None:
    spec = load(TEXT, "aria.yml")
    assert spec.section("integrity") == {}
    assert spec.section("plans") == {}


def test_an_error_is_located() -> None:
    error = SpecError(("rls", "identities", 1, "role"), "'x y' is no name of a role", "Name one.")
    assert str(load(TEXT, "aria.yml").located(error)) == (
        "aria.yml:8: rls.identities[1].role: 'x y' is no name of a role. Nothing was changed. Name one."
    )
    assert str(from_data({}).located(error)).startswith("spec: rls.identities[1].role: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "aria.yml: the file is empty"),
        ("# nothing\n", "aria.yml: the file is empty"),
        ("- a\n", "aria.yml:1: a spec file must be a mapping"),
        ("rls: {}\nrols: {}\n", "aria.yml:2: rols: there is no such section. Nothing was changed. Did you mean 'rls'?"),
        ("database: a\nschemata: {}\n", "aria.yml:2: schemata: there is no such section"),
        ("rls: {}\nplans: {}\nrls: {}\n", "aria.yml:3: rls: the key stands here for the second time, first in line 1."),
        ("rls:\n  a: 1\n  b: {c: 1,\n   c: 2}\n", "aria.yml:4: rls.b.c: the key stands here for the second time"),
        ("rls: {}\nplans: [a]\n", "aria.yml:2: plans: the section must be a mapping, not a list"),
        ("plans: yes\n", "aria.yml:1: plans: the section must be a mapping, not a single value"),
        ("database: 5\n", "aria.yml:1: database: 5 is no name"),
        ("database: ''\n", "aria.yml:1: database: '' is no name"),
        ("rls:\n  on: 1\n", "aria.yml:2: rls.?: the key 'on' is not text. Nothing was changed. Quote it."),
        ("rls:\n  [a]: 1\n", "aria.yml:2: rls.?: the key a list is not text"),
        ("rls:\n  a: !!binary aaaa\n", "aria.yml:2: rls.a: values of the type binary"),
        ("rls:\n  a: !x y\n", "aria.yml:2: rls.a: values of the type"),
        ("rls:\n  a: &x [*x]\n", "aria.yml:2: rls.a[0]: it contains itself"),
        ("rls:\n  <<: a\n", "aria.yml:2: "),
        ("rls:\n\t- a\n", "aria.yml:2: this is not YAML: "),
        ("rls: {\n", "this is not YAML: "),
        ("rls: {}\n---\nplans: {}\n", "this is not YAML: "),
        ("rls: \x00\n", "aria.yml: this is not YAML: "),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(DbopsError) as caught:
        load(text, "aria.yml")
    assert message in str(caught.value)


def test_a_date_stays_text_and_anchors_work() -> None:
    text = "plans:\n  a: &a {since: 2026-01-01}\n  b:\n    <<: *a\n    x: 1\n  c: *a\n"
    spec = load(text, "a.yml")
    assert spec.section("plans")["b"] == {"since": "2026-01-01", "x": 1}
    assert spec.section("plans")["c"] == {"since": "2026-01-01"}


KEYS = st.sampled_from(["a", "app.tenant_id", "on", "yes", "1", "2026-01-01", "a: b", "<<", "~"])
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)


@forall(st.dictionaries(KEYS, VALUES, max_size=4))
def test_read_from_a_file_it_is_what_travels_as_json(section: dict[str, object]) -> None:
    data = {"integrity": section}
    spec = load(yaml.safe_dump(data), "a.yml")
    assert spec.data == data == json.loads(json.dumps(spec.data))
    assert all(spec.line(("integrity", key)) > 0 for key in section)


def test_given_takes_the_data_the_file_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "aria.yml"
    path.write_text(TEXT)
    assert given({"spec": {"plans": {"a": 1}}, "spec_file": None}).section("plans") == {"a": 1}
    assert given({"spec": None, "spec_file": str(path)}).line(("rls",)) == 3
    assert given({"spec": None, "spec_file": None}).data == {}
    with pytest.raises(DbopsError, match="cannot be read: No such file"):
        given({"spec_file": str(tmp_path / "other.yml")})
    path.write_bytes(b"rls: \xff")
    with pytest.raises(DbopsError, match="not UTF-8"):
        given({"spec_file": str(path)})
    with pytest.raises(DbopsError, match="spec: rsl: there is no such section"):
        given({"spec": {"rsl": {}}})


def test_the_database_of_the_file_counts_while_the_login_names_none() -> None:
    spec = from_data({"database": "aria_db"})
    assert database({"login_db": "postgres"}, spec) == "aria_db"
    assert database({"login_db": "ci"}, spec) == "ci"
    assert database({"login_db": "postgres"}, from_data({})) == "postgres"


def test_only_refuses_what_nobody_reads() -> None:
    only({"role": 1}, ("role", "settings"), ("rls",))
    with pytest.raises(SpecError, match=r"rls\.setings: unknown key. Nothing was changed. Did you mean 'settings'\?"):
        only({"setings": 1}, ("role", "settings"), ("rls",))


def test_dotted() -> None:
    assert dotted(("rls", "identities", 0, "settings", "app.tenant_id")) == "rls.identities[0].settings.app.tenant_id"


def test_the_options_are_the_documented_ones() -> None:
    documented = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert {
        name: {key: value for key, value in option.items() if key != "description"}
        for name, option in documented.items()
    } == SPEC_ARGUMENTS
