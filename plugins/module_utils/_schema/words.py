# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of SQL. Names in a snapshot are written as SQL writes them; roles and texts are not. Pure."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._schema.snapshot import PUBLIC

word = {
    "schema": "SCHEMA",
    "table": "TABLE",
    "foreign_table": "FOREIGN TABLE",
    "column": "COLUMN",
    "view": "VIEW",
    "materialized_view": "MATERIALIZED VIEW",
    "index": "INDEX",
    "sequence": "SEQUENCE",
    "function": "FUNCTION",
    "procedure": "PROCEDURE",
    "aggregate": "AGGREGATE",
    "type": "TYPE",
    "extension": "EXTENSION",
    "event_trigger": "EVENT TRIGGER",
    "publication": "PUBLICATION",
    "statistics": "STATISTICS",
    "collation": "COLLATION",
    "foreign_server": "SERVER",
    "foreign_data_wrapper": "FOREIGN DATA WRAPPER",
}


def role(name: str) -> str:
    """A role, quoted: every name but the one of all of them."""
    if name == PUBLIC:
        return "PUBLIC"
    # One word may be reserved (user, all); of those with an underscore, only these.
    plain = re.fullmatch("(?!current_|session_|system_)[a-z]+_[a-z0-9_]*", name)
    return name if plain else '"' + name.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """A text, quoted."""
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


def member(name: str, of: str) -> str:
    """The last part of a name: that of a column without its table's."""
    return name[len(of) + 1 :] if of and name.startswith(f"{of}.") else name
