# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access register: the effective access of a host as documents that can be committed and compared.

There is no date in them and every list is sorted, so a difference between two registers is a difference in access.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

COLUMNS = ("host", "database", "schema", "kind", "object", "role", "privilege", "via")
EVERYTHING = "*"


def register(info: Mapping[str, Any], host: str) -> dict[str, str]:
    """File name (``<host>/<database>.md`` and ``.csv``) -> content, for each database.

    :param info: what ``pg_access_info`` returned for the host.
    """
    files = {}
    for database in sorted(info["objects"]):
        rows = [row for row in info["access"] if row["database"] in (database, EVERYTHING)]
        name = f"{_file_name(host)}/{_file_name(database)}"
        files[f"{name}.md"] = markdown(info, rows, host, database)
        files[f"{name}.csv"] = as_csv(rows, host, database)
    return files


def markdown(info: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], host: str, database: str) -> str:
    """The register of one database, to be read: a line for each role, kind and way, objects together."""
    lines = [f"# Access register of database {_cell(database)} on {_cell(host)}", ""]
    lines += [f"Owner: {_cell(info['owners'][database])}. What PUBLIC may do, every role may do.", ""]
    lines += ["## Roles that have access", ""]
    lines += _table(("role", "log in", "connections", "valid until", "member of"), _role_lines(info, rows))
    everything = [row for row in rows if row["database"] == EVERYTHING]
    lines += ["", "## May do everything", ""]
    lines += _table(("role", "via"), [(row["role"], row["via"]) for row in everything])
    own = [row for row in rows if row["database"] != EVERYTHING]
    for schema in sorted({row["schema"] for row in own}):
        lines += ["", f"## Schema {_cell(schema)}" if schema else "## Database and schemas", ""]
        here = [row for row in own if row["schema"] == schema and (row["via"] != "PUBLIC" or row["role"] == "PUBLIC")]
        counts = info["objects"][database].get(schema, {})
        lines += _table(
            ("role", "kind", "objects", "privileges", "via"),
            [
                (row["role"], row["kind"], _objects(row, counts), ", ".join(row["privileges"]), row["via"])
                for row in here
            ],
        )
    return "\n".join(lines) + "\n"


def as_csv(rows: Sequence[Mapping[str, Any]], host: str, database: str) -> str:
    """The register of one database, to be searched: a line for each role, object and privilege."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        sorted(
            (host, database, row["schema"], row["kind"], name, row["role"], privilege, row["via"])
            for row in rows
            for name in row["objects"]
            for privilege in row["privileges"]
        )
    )
    return text.getvalue()


def _role_lines(info: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    names = {row["role"] for row in rows if row["role"] == "PUBLIC" or row["via"] != "PUBLIC"}
    return [
        (
            role["name"],
            "yes" if role["login"] else "no",
            "any number" if role["connection_limit"] == -1 else str(role["connection_limit"]),
            role["valid_until"] or "for ever",
            ", ".join(role["member_of"]),
        )
        for role in info["roles"]
        if role["name"] in names
    ]


def _objects(row: Mapping[str, Any], counts: Mapping[str, int]) -> str:
    total = counts.get(row["kind"], 0)
    if total > 1 and len(row["objects"]) == total:
        return f"all {total} {row['kind']}s"
    return ", ".join(row["objects"])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return ["Nobody."]
    return [
        f"| {' | '.join(heads)} |",
        f"|{'|'.join('---' for _head in heads)}|",
        *(f"| {' | '.join(_cell(value) for value in row)} |" for row in rows),
    ]


def _cell(value: str) -> str:
    return re.sub(r"([\\`*{}\[\]<>|#])", r"\\\1", value).replace("\n", " ")


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]|^\.", "_", name)
