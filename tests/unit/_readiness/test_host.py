# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is recognised in process arguments, rule sets and package indexes."""

from __future__ import annotations

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.host import (
    firewall_limits,
    password_argument,
    versions,
)
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import Unseen


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (b"psql\0postgresql://app:secret@db/payments\0", True),
        (b"java\0-Ddb=postgres://app:secret@db\0", True),
        (b"psql\0host=db password=secret\0", True),
        (b"env\0PGPASSWORD=secret\0psql\0", True),
        (b"psql\0postgresql://app@db/payments\0", False),
        (b"psql\0postgresql://db/payments\0", False),
        (b"psql\0host=db passfile=/run/pass\0", False),
        (b"postgres\0-c\0password_encryption=scram-sha-256\0", False),
        (b"", False),
    ],
)
def test_a_password_in_arguments_is_seen(arguments: bytes, found: bool) -> None:
    assert password_argument(arguments) is found


_OWN = """table inet dbops_postgres {
    chain input {
        type filter hook input priority 0; policy accept;
        iif 1 accept
        tcp dport != 5432 accept
        ip saddr 192.0.2.0/24 accept
        meta l4proto tcp counter packets 0 bytes 0 drop
    }
}
"""
_DROP_ALL = """table inet filter {
    chain input {
        type filter hook input priority 0; policy drop;
        tcp dport { 22, 5432 } accept
    }
}
"""
_FORWARD = """table inet filter {
    chain forward {
        type filter hook forward priority 0; policy drop;
    }
    chain input {
        type filter hook input priority 0; policy accept;
    }
}
"""


@pytest.mark.parametrize(
    ("ruleset", "port", "limits"),
    [
        (_OWN, "5432", True),
        (_OWN, "5433", False),
        (_OWN, "543", False),
        (_OWN.replace("drop", "reject"), "5432", True),
        (_OWN.replace(" drop", " accept"), "5432", False),
        (_DROP_ALL, "5432", True),
        (_FORWARD, "5432", False),
        ("", "5432", False),
    ],
)
def test_whether_a_rule_set_limits_the_port(ruleset: str, port: str, limits: bool) -> None:
    # nft indents with tabs
    assert firewall_limits(ruleset.replace("    ", "\t"), port) is limits


_POLICY = """postgresql-17:
  Installed: 17.1-1
  Candidate: 17.2-1
  Version table:
     17.2-1 500
        500 https://example.org/debian trixie/main amd64 Packages
 *** 17.1-1 100
        100 /var/lib/dpkg/status
"""
_WITHOUT_INDEX = """postgresql-17:
  Installed: 17.1-1
  Candidate: 17.1-1
  Version table:
 *** 17.1-1 100
        100 /var/lib/dpkg/status
"""


def test_versions_come_from_the_package_index() -> None:
    assert versions(_POLICY) == ("17.1-1", "17.2-1")


@pytest.mark.parametrize("text", ["", _WITHOUT_INDEX])
def test_without_an_index_nothing_is_known_of_updates(text: str) -> None:
    found = versions(text)
    assert isinstance(found, Unseen)
    assert found.status is Status.NOT_TESTED
