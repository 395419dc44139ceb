# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server says it is."""

from __future__ import annotations

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._environment import environment_of, is_production, short


@pytest.mark.parametrize(
    ("cluster_name", "environment", "production"),
    [
        ("17/main", "", False),
        ("17/main@prod", "prod", True),
        ("17/main@PROD", "prod", True),
        ("x@y@Production", "prod", True),
        ("a@Live", "live", True),
        ("a@stage", "stage", False),
        ("a@Development", "dev", False),
        ("a@", "", False),
    ],
)
def test_environment(cluster_name: str, environment: str, production: bool) -> None:
    assert environment_of(cluster_name) == environment
    assert is_production(environment) == production


def test_one_word_for_each() -> None:
    assert short("Staging") == short("stage")
    assert is_production("Production")
