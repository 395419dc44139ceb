# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access register as documents."""

from __future__ import annotations

from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._access.register import register


def row(role: str, objects: list[str], via: str = "grant", **more: Any) -> dict[str, Any]:
    base = {"database": "shop", "schema": "public", "kind": "table", "privileges": ["SELECT", "INSERT"]}
    return {"role": role, "objects": objects, "via": via, **base, **more}


def role(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "superuser": False,
        "login": True,
        "connection_limit": -1,
        "valid_until": None,
        "member_of": [],
    }


INFO: dict[str, Any] = {
    "access": [
        row("root", ["*"], "superuser", database="*", schema="", kind="*", privileges=["ALL"]),
        row("app", ["a|b", "c"]),
        row("app", ["shop"], "PUBLIC", schema="", kind="database", privileges=["CONNECT"]),
        row("PUBLIC", ["shop"], "PUBLIC", schema="", kind="database", privileges=["CONNECT"]),
        row("ro", ["c"], "member of app"),
        row("elsewhere", ["x"], database="other"),
    ],
    "roles": [role("app"), role("elsewhere"), role("ro"), role("root")],
    "owners": {"shop": "own"},
    "objects": {"shop": {"public": {"table": 2}}},
}


def test_markdown_puts_objects_together_and_says_what_public_may_once() -> None:
    text = register(INFO, "db1")["db1/shop.md"]
    assert "| app | table | all 2 tables | SELECT, INSERT | grant |\n" in text
    assert "| ro | table | c | SELECT, INSERT | member of app |\n" in text
    assert "| root | superuser |\n" in text
    assert text.count("CONNECT") == 1
    assert "elsewhere" not in text


def test_csv_has_a_line_for_each_role_object_and_privilege() -> None:
    lines = register(INFO, "db1")["db1/shop.csv"].splitlines()
    assert lines[0] == "host,database,schema,kind,object,role,privilege,via"
    assert "db1,shop,public,table,a|b,app,SELECT,grant" in lines
    assert lines[1:] == sorted(lines[1:])
    assert len(lines) == 1 + 1 + 4 + 1 + 1 + 2


def test_the_documents_do_not_depend_on_the_order_of_what_was_read() -> None:
    turned = {**INFO, "access": INFO["access"][:1] + INFO["access"][:0:-1]}
    assert register(turned, "db1")["db1/shop.csv"] == register(INFO, "db1")["db1/shop.csv"]


def test_names_cannot_leave_the_directory_or_break_the_table() -> None:
    info = {**INFO, "owners": {"../../x": "a|b"}, "objects": {"../../x": {}}}
    ((name, text),) = [(k, v) for k, v in register(info, "db/1").items() if k.endswith(".md")]
    assert name == "db_1/_._.._x.md"
    assert "a\\|b" in text
