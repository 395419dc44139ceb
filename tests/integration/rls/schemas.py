# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The good schemas of the tests, and the specs that describe who may see what in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.integration.servers import Database

HERE = Path(__file__).parent
HARBOUR = "11111111-1111-4111-8111-111111111111"
HILL = "22222222-2222-4222-8222-222222222222"


def make(database: Database, name: str) -> None:
    """Create a schema in the test's database."""
    text = (HERE / f"{name}.sql").read_text().replace("{prefix}", database.prefix)
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(text)
    finally:
        connection.close()


def aria(prefix: str) -> dict[str, Any]:
    """The section ``rls`` of the clinic."""

    def identity(name: str, role: str, tenant: str) -> dict[str, Any]:
        return {
            "name": name,
            "role": f"{prefix}{role}",
            "settings": {"app.tenant_id": tenant},
            "sees": {"*": f"practice_id = '{tenant}'", "practices": f"id = '{tenant}'"},
        }

    return {
        "tenant_column": "practice_id",
        "identities": [
            identity("harbour", "app", HARBOUR),
            identity("hill", "app", HILL),
            identity("harbour report", "report", HARBOUR),
        ],
    }


def hosted(prefix: str) -> dict[str, Any]:
    """The section ``rls`` of the hosted application: users come with the claims of a token."""

    def user(name: str, letter: str, number: int) -> dict[str, Any]:
        me = f"{letter * 8}-0000-4000-8000-00000000000{number}"
        team = f"{letter * 8}-1111-4000-8000-00000000000{number}"
        return {
            "name": name,
            "role": f"{prefix}authenticated",
            "settings": {"request.jwt.claims": {"sub": me, "role": "authenticated"}},
            "sees": {
                "profiles": True,
                "teams": f"id = '{team}'",
                "members": f"team_id = '{team}'",
                "documents": f"team_id = '{team}'",
            },
            "writes": {"profiles": f"id = '{me}'", "documents": f"team_id = '{team}' AND author = '{me}'"},
        }

    return {
        "identities": [
            user("ann", "a", 1),
            user("ben", "b", 2),
            {"name": "visitor", "role": f"{prefix}anon", "sees": {"*": False, "profiles": True}},
        ],
    }
