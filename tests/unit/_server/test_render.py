# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of the files."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._server import render
from ansible_collections.dbops.postgres.plugins.module_utils._server.settings import CIPHERS, sections
from ansible_collections.dbops.postgres.plugins.module_utils._server.tuning import Host
from tests.unit._server.helpers import RULE, make

HOST = Host(4096, 2, "ssd", 100_000)


def hba_rules(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


def test_every_setting_stands_below_its_reason_and_only_once() -> None:
    lines = render.configuration(sections(make(), HOST), HOST).splitlines()
    settings = [number for number, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    assert len(settings) > 60
    assert all(lines[number - 1].startswith("# ") for number in settings)
    names = [lines[number].split(" = ")[0] for number in settings]
    assert len(names) == len(set(names))


def test_the_user_replaces_a_derived_value() -> None:
    spec = make(settings={"work_mem": "64MB", "log_min_messages": "info"})
    values = render.values(render.configuration(sections(spec, HOST), HOST))
    assert values["work_mem"] == "64MB"
    assert values["log_min_messages"] == "info"


@pytest.mark.parametrize("weak", ["AES256-SHA", "CBC", "DHE-DSS", "RC4", "NULL", "aNULL"])
def test_no_weak_cipher(weak: str) -> None:
    assert all(cipher.startswith("ECDHE-") and weak not in cipher.replace("ECDHE", "") for cipher in CIPHERS)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=40))
def test_a_quoted_value_is_read_back(value: str) -> None:
    assert render.values(f"x = {render.quoted(value)}\n") == {"x": value}


def test_the_host_is_remembered() -> None:
    assert render.sized_for(render.configuration((), HOST)) == (4096, 100_000)
    assert render.sized_for("# something else\n") == (0, 0)


def test_refusals_come_before_what_is_admitted_and_a_refusal_comes_last() -> None:
    rules = hba_rules(render.host_based_authentication(make(access_rules=[RULE])))
    assert rules == [
        ["local", "all", "postgres", "peer"],
        ["local", "replication", "postgres", "peer"],
        ["local", "all", "all", "peer"],
        ["hostnossl", "all", "all", "all", "reject"],
        ["hostnossl", "replication", "all", "all", "reject"],
        ["host", "all", "postgres", "all", "reject"],
        ["host", "replication", "postgres", "all", "reject"],
        ["hostssl", "payments_db", "payments_app", "10.20.0.0/16", "scram-sha-256"],
        ["host", "all", "all", "all", "reject"],
        ["host", "replication", "all", "all", "reject"],
    ]


def test_nothing_declared_means_nobody_over_the_network() -> None:
    rules = hba_rules(render.host_based_authentication(make()))
    assert [rule for rule in rules if rule[0].startswith("host") and rule[-1] != "reject"] == []


def test_replication_is_admitted_only_when_declared() -> None:
    spec = make(replication_rules=[{"users": ["repl"], "addresses": ["10.0.0.7/32"]}])
    assert "hostssl replication repl 10.0.0.7/32 scram-sha-256" in render.host_based_authentication(spec)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("payments_app", "payments_app"),
        ("Ünal", '"Ünal"'),
        ("with space", '"with space"'),
        ("+group", "+group"),
        ("+my group", '+"my group"'),
        ("sameuser", '"sameuser"'),
    ],
)
def test_names_in_pg_hba(name: str, text: str) -> None:
    assert render.hba_name(name) == text


@given(st.lists(st.text("abc \"#,+@/'\n", min_size=1, max_size=8), min_size=1, max_size=3))
def test_no_name_can_add_a_rule(names: list[str]) -> None:
    """Whatever a name holds, it is refused, or the file has exactly one line more for it."""
    from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

    try:
        spec = make(access_rules=[{**RULE, "users": names}])
    except DbopsError:
        return
    text = render.host_based_authentication(spec)
    assert len(hba_rules(text)) == len(hba_rules(render.host_based_authentication(make()))) + 1
    declared = next(line for line in text.splitlines() if line.startswith("hostssl"))
    assert re.fullmatch(r'hostssl payments_db (\+?("[^"]*"|[^\s"]+),?)+ 10\.20\.0\.0/16 scram-sha-256', declared)


def test_the_unit_waits_for_its_volume_and_its_network() -> None:
    text = render.unit_drop_in(make(data_mount="/srv/pg", listen_addresses=["10.0.0.5"]), ("/srv/pg",))
    assert "AssertPathIsMountPoint=/srv/pg\n" in text
    assert "RequiresMountsFor=/srv/pg\n" in text
    assert "After=network-online.target\n" in text
    assert "ReadWritePaths=-/srv/pg\n" in text
    assert "[Unit]" not in render.unit_drop_in(make(), ())
