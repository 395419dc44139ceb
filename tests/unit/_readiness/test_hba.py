# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a line of pg_hba.conf admits."""

from __future__ import annotations

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge import hba
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import HbaRule
from tests.unit._readiness.good import rule


@pytest.mark.parametrize(
    ("line", "local", "world", "wide"),
    [
        (rule("local", "all", "all", "", "peer"), True, False, False),
        (rule("host", "all", "all", "127.0.0.1", "md5", "255.255.255.255"), True, False, False),
        (rule("host", "all", "all", "127.0.0.0", "md5", "255.0.0.0"), True, False, True),
        (rule("host", "all", "all", "::1", "md5", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), True, False, False),
        (rule("host", "all", "all", "samehost", "md5"), True, False, False),
        (rule("host", "all", "all", "samenet", "md5"), False, False, False),
        (rule("host", "all", "all", "app.example.com", "md5"), False, False, False),
        (rule("host", "all", "all", "all", "md5"), False, True, True),
        (rule("host", "all", "all", "0.0.0.0", "md5", "0.0.0.0"), False, True, True),
        (rule("host", "all", "all", "::", "md5", "::"), False, True, True),
        (rule("host", "all", "all", "10.0.0.0", "md5", "255.0.0.0"), False, False, True),
        (rule("host", "all", "all", "10.1.0.0", "md5", "255.255.0.0"), False, False, False),
        (rule("host", "all", "all", "2001:db8::", "md5", "ffff:ffff::"), False, False, True),
    ],
)
def test_where_a_rule_admits_from(line: HbaRule, local: bool, world: bool, wide: bool) -> None:
    assert hba.is_local(line) is local
    assert hba.is_world(line) is world
    assert hba.too_wide(line, 16, 48) is wide


_WIDE = rule("hostssl", "all", "all", "192.0.2.0", "scram-sha-256", "255.255.255.0")


@pytest.mark.parametrize(
    ("rules", "admitted"),
    [
        ([_WIDE], True),
        ([rule("hostssl", "db", "app", "192.0.2.1", "cert")], False),
        ([rule("hostssl", "db", "+dba", "192.0.2.1", "cert")], True),
        ([rule("hostssl", "db", "/^p", "192.0.2.1", "cert")], True),
        ([rule("hostssl", "db", "/^(", "192.0.2.1", "cert")], True),  # not understood: assume the worse
        ([rule("host", "all", "all", "127.0.0.1", "scram-sha-256")], False),
        ([rule("host", "all", "postgres", "all", "reject"), _WIDE], False),
        ([rule("host", "all", "postgres", "0.0.0.0", "reject", "0.0.0.0"), _WIDE], False),
        ([rule("host", "all", "postgres", "::", "reject", "::"), _WIDE], True),  # the other family
        ([rule("hostssl", "all", "postgres", "all", "reject"), _WIDE], True),  # without TLS it goes on
        ([rule("host", "db", "postgres", "all", "reject"), _WIDE], True),  # one database only
        (
            [rule("host", "all", "postgres", "all", "reject"), rule("host", "replication", "all", "192.0.2.1", "md5")],
            True,
        ),
    ],
)
def test_how_a_superuser_gets_in(rules: list[HbaRule], admitted: bool) -> None:
    assert bool(hba.admits_role(rules, "postgres", ["postgres", "dba"])) is admitted


def test_a_rule_is_shown_as_in_the_file() -> None:
    assert hba.shown(rule("hostssl", "a,b", "c", "10.0.0.0", "cert", "255.0.0.0", line=7)) == (
        "line 7 (hostssl a,b c 10.0.0.0/8 cert)"
    )
