# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes: a hash that follows every ingredient, and commands."""

from __future__ import annotations

import dataclasses
import subprocess

import pytest

from tests.throwaway import recipe
from tests.throwaway.recipe import IMAGES, recipe_hash, reference, setup_script, sources_list

DEBIAN13 = IMAGES["debian13"]


def test_the_hash_is_stable() -> None:
    assert recipe_hash(DEBIAN13) == recipe_hash(dataclasses.replace(DEBIAN13))


@pytest.mark.parametrize(
    "other",
    [
        recipe_hash(IMAGES["debian12"]),
        recipe_hash(dataclasses.replace(DEBIAN13, suite="forky")),
        recipe_hash(dataclasses.replace(DEBIAN13, postgresql=18)),
        recipe_hash(DEBIAN13, base="an/image:13"),
    ],
)
def test_the_hash_changes_with_the_image(other: str) -> None:
    assert other != recipe_hash(DEBIAN13)


@pytest.mark.parametrize("name", ["INSTALLED", "ARCHIVES", "MASKED_UNITS", "FILES"])
def test_the_hash_changes_with_every_ingredient(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = recipe_hash(DEBIAN13)
    ingredient = getattr(recipe, name)
    more = {**ingredient, "/etc/new": "text"} if isinstance(ingredient, dict) else (*ingredient, "new")
    monkeypatch.setattr(recipe, name, more)
    assert recipe_hash(DEBIAN13) != before


def test_the_name_tells_the_image_and_its_recipe() -> None:
    assert reference(DEBIAN13) == f"localhost/dbops-throwaway:debian13-{recipe_hash(DEBIAN13)}"


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
def test_the_setup_is_valid_shell_and_keeps_the_archives_of_its_version(image: recipe.Image) -> None:
    script = setup_script(image)
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    assert f" postgresql-{image.postgresql} " in script
    assert "{" not in script


def test_nothing_of_postgresql_is_installed() -> None:
    assert not [package for package in recipe.INSTALLED if "postgres" in package or "psycopg" in package]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("", []),
        ("Debian|http://a.example/d/\n", []),  # no security mirror known: what mmdebstrap knows is better
        (
            "Other|http://o.example/\nDebian-Security|http://s.example/s/\nDebian|http://a.example/d/\nDebian|http://b/\n",
            [
                "deb http://a.example/d/ trixie main",
                "deb http://a.example/d/ trixie-updates main",
                "deb http://s.example/s/ trixie-security main",
            ],
        ),
    ],
)
def test_mirrors_are_those_of_the_machine(targets: str, expected: list[str]) -> None:
    assert sources_list(targets, "trixie") == expected
