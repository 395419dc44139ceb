# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From one access list to another. That PostgreSQL does the same is proven by the property test on real servers."""

from __future__ import annotations

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._access.acl import (
    change,
    described,
    privilege_sets,
    reowned,
)
from tests.unit._access.states import acl

S, I = "SELECT", "INSERT"  # noqa: E741

# (before, wanted, purge) -> (cascade, revoke, grant, restore, after). "boss" is exempt, "own" is the owner.
CASES = [
    ([], {("app", S)}, False, "", "", "app=S", "", ["app=SELECT"]),
    (["app=SELECT"], {("app", S)}, False, "", "", "", "", ["app=SELECT"]),
    (["ro=SELECT"], {("app", S)}, False, "", "", "app=S", "", ["ro=SELECT", "app=SELECT"]),
    (["app=SELECT*"], {("app", S)}, False, "", "", "", "", ["app=SELECT*"]),
    (["ro=SELECT", "=SELECT"], set(), True, "", "=S ro=S", "", "", []),
    (["app=SELECT"], {("app", S), ("app", I)}, True, "", "", "app=I", "", ["app=SELECT", "app=INSERT"]),
    # A grant option goes, the privilege stays.
    (["app=SELECT*"], {("app", S)}, True, "app=S", "", "", "", ["app=SELECT"]),
    # What rests on the option goes with it; what of that is declared is granted anew.
    (["app=SELECT*", "ro=SELECT/app"], {("ro", S)}, True, "app=S", "app=S", "ro=S", "", ["ro=SELECT"]),
    # A chain.
    (["a=SELECT*", "b=SELECT*/a", "c=SELECT/b"], {("a", S)}, True, "a=S", "", "", "", ["a=SELECT"]),
    # Exempt ones keep what they hold, with its option, whoever gave it to them.
    (["boss=SELECT*"], set(), True, "", "", "", "", ["boss=SELECT*"]),
    (["boss=SELECT*", "ro=SELECT/boss"], {("ro", S)}, True, "", "", "", "", ["boss=SELECT*", "ro=SELECT/boss"]),
    (["boss=SELECT*", "ro=SELECT/boss"], set(), True, "boss=S", "", "", "boss=S", ["boss=SELECT*"]),
    (["app=SELECT*", "boss=SELECT/app"], set(), True, "app=S", "app=S", "boss=S", "", ["boss=SELECT"]),
    # The owner keeps what it has, also when it has given up something.
    (["own=SELECT"], set(), True, "", "", "", "", ["own=SELECT"]),
    (["own=SELECT"], {("own", I)}, True, "", "", "own=I", "", ["own=SELECT", "own=INSERT"]),
]


def shown(pairs: frozenset[tuple[str, str]]) -> str:
    return " ".join(sorted(f"{grantee}={privilege[0]}" for grantee, privilege in pairs))


@pytest.mark.parametrize(("before", "wanted", "purge", "cascade", "revoke", "grant", "restore", "after"), CASES)
def test_change(
    before: list[str],
    wanted: set[tuple[str, str]],
    purge: bool,
    cascade: str,
    revoke: str,
    grant: str,
    restore: str,
    after: list[str],
) -> None:
    found = change(acl("own", *before), "own", frozenset(wanted), purge=purge, exempt=lambda role: role == "boss")
    assert (shown(found.cascade), shown(found.revoke)) == (cascade, revoke)
    assert (shown(found.grant), shown(found.restore)) == (grant, restore)
    assert found.after == acl("own", *after)
    again = change(found.after, "own", frozenset(wanted), purge=purge, exempt=lambda role: role == "boss")
    assert not again.any


def test_a_revoke_on_a_table_reaches_its_columns() -> None:
    table = change(acl("own", "app=SELECT"), "own", frozenset(), purge=True, exempt=lambda role: False)
    column = change(
        acl("own", "app=SELECT", "ro=SELECT"),
        "own",
        frozenset({("app", S)}),
        purge=True,
        exempt=lambda role: False,
        parent=table,
    )
    assert shown(column.revoke) == "ro=S"
    assert shown(column.grant) == "app=S"


def test_a_column_grant_that_rests_on_the_tables_option_is_taken_away() -> None:
    column = change(acl("own", "ro=SELECT/app"), "own", frozenset(), purge=True, exempt=lambda role: False)
    assert shown(column.lend) == shown(column.cascade) == shown(column.revoke) == "app=S"
    assert column.after == frozenset()


def test_a_declared_column_grant_does_not_outlive_the_option_that_it_rests_on() -> None:
    column = change(acl("own", "ro=SELECT/app"), "own", frozenset({("ro", S)}), purge=True, exempt=lambda role: False)
    assert column.after == acl("own", "ro=SELECT")
    spared = change(
        acl("own", "ro=SELECT/boss"), "own", frozenset({("ro", S)}), purge=True, exempt=lambda role: role == "boss"
    )
    assert not spared.any


def test_a_new_owner_takes_the_old_ones_place() -> None:
    before = acl("own", "own=SELECT", "new=SELECT", "app=SELECT")
    assert reowned(before, "own", "new") == acl("new", "new=SELECT", "app=SELECT")


def test_grantees_with_the_same_privileges_share_a_statement() -> None:
    pairs = {("b", I), ("b", S), ("a", S), ("a", I), ("", S)}
    assert privilege_sets(pairs, (S, I)) == [((S,), ("",)), ((S, I), ("a", "b"))]


def test_a_list_as_text() -> None:
    assert described(acl("own", "own=SELECT"), "own", (S, I)) == "(none)"
    assert (
        described(acl("own", "app=INSERT", "app=SELECT*", "=SELECT"), "own", (S, I))
        == "PUBLIC=SELECT app=SELECT*,INSERT"
    )
