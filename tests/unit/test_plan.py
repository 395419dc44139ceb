# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans and the error that a user sees."""

from __future__ import annotations

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._plan import (
    MASK,
    Change,
    DbopsError,
    Ident,
    Joined,
    Plan,
    Secret,
    Sql,
    Step,
)
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login, mask


def test_an_error_says_what_was_wrong_what_was_left_and_what_to_do() -> None:
    error = DbopsError("Role x is unknown", "Declare it.")
    assert str(error) == "Role x is unknown. Nothing was changed. Declare it."


def test_a_plan_without_steps_changes_nothing() -> None:
    assert not Plan().changed
    assert Plan().diff() == {"before": "", "after": ""}


def test_the_diff_has_a_line_per_object_that_exists() -> None:
    plan = Plan(
        steps=(Step("role a", Sql("CREATE ROLE {}", (Ident("a"),))),),
        changes=(
            Change("role a", None, "login"),
            Change("role b", "login", "nologin"),
            Change("role c", "login", None),
        ),
    )
    assert plan.changed
    assert plan.diff() == {
        "before": "role b: login\nrole c: login\n",
        "after": "role a: login\nrole b: nologin\n",
    }


def test_a_secret_does_not_show_in_any_representation() -> None:
    step = Step("role a", Sql("ALTER ROLE {} PASSWORD {}", (Ident("a"), Joined((Secret("canary"),)))))
    assert "canary" not in repr(step)
    assert MASK in repr(step)
    assert "canary" not in repr(Login(password="canary"))


@pytest.mark.parametrize(
    ("text", "secrets", "shown"),
    [
        ("password is s3cret!", ["s3cret!"], f"password is {MASK}"),
        ("abcd ab", ["ab", "abcd"], f"{MASK} {MASK}"),
        ("nothing", ["", "x"], "nothing"),
        ("PASSWORD 'SCRAM-SHA-256$4096:abc=$d=:e='", [], f"PASSWORD '{MASK}'"),
        ("PASSWORD 'md5" + "0" * 32 + "'", [], f"PASSWORD '{MASK}'"),
    ],
)
def test_mask(text: str, secrets: list[str], shown: str) -> None:
    assert mask(text, secrets) == shown
