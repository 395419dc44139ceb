# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A schema as data, and as a file that people review. Pure.

The file is JSON with sorted keys: one line for each field, so that a change of a schema is a short difference of text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

FORMAT = 1
OWNER = "<owner>"
PUBLIC = "PUBLIC"

Fields = Mapping[str, Any]
Objects = Mapping[str, Mapping[str, Fields]]


@dataclass(frozen=True)
class Snapshot:
    """The objects of one database.

    :param server_major: the version that printed the definitions, for example 17.
    :param objects: fields by kind and name. A name is written as SQL writes it. A field that is not there is not set.
    """

    server_major: int
    objects: Objects

    def to_json(self) -> str:
        """As a file. Equal schemas give equal text."""
        data = {"format": FORMAT, "server_major": self.server_major, "objects": self.objects}
        return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str = "The snapshot") -> Snapshot:
        """The reverse.

        :param name: the file, for the error.
        :raises DbopsError: it is no snapshot, or one of another format.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise DbopsError(f"{name} is no JSON: {error}", "Write it again: write_snapshot.") from None
        if not isinstance(data, dict) or not _is_objects(data.get("objects")) or not _is_major(data):
            raise DbopsError(f"{name} is no snapshot of a schema", "Write it again: write_snapshot.")
        if data.get("format") != FORMAT:
            raise DbopsError(
                f"{name} has format {data.get('format')!r}, and this version reads {FORMAT}",
                "Write it again: write_snapshot.",
            )
        return cls(data["server_major"], data["objects"])

    def count(self) -> int:
        """How many objects there are."""
        return sum(len(found) for found in self.objects.values())


def _is_major(data: Mapping[str, Any]) -> bool:
    return isinstance(data.get("server_major"), int)


# What the comparison looks into; a file that somebody has edited may hold anything.
_SHAPES: Mapping[type, tuple[str, ...]] = {
    str: ("of", "owner", "constraint", "owned_by", "partition_of", "creator", "user", "server", "schema", "objects"),
    list: ("columns", "roles", "labels", "tags"),
    dict: ("grants", "options", "toast_options", "settings"),
}


def _is_objects(data: Any) -> bool:
    return isinstance(data, dict) and all(
        isinstance(found, dict) and all(_is_fields(fields) for fields in found.values()) for found in data.values()
    )


def _is_fields(fields: Any) -> bool:
    if not isinstance(fields, dict):
        return False
    shaped = all(isinstance(fields[key], kind) for kind, keys in _SHAPES.items() for key in keys if key in fields)
    lists = [*fields.get("grants", {}).values(), fields.get("roles", [])] if shaped else [None]
    return all(isinstance(items, list) and all(isinstance(item, str) for item in items) for items in lists)


def named(kind: str, fields: Fields) -> str:
    """The name of what has none of its own."""
    if kind == "default_privileges":
        place = f"in {fields['schema']}" if "schema" in fields else "everywhere"
        return f"{fields['creator']} {place} on {fields['objects']}"
    return f"{fields['user']} at {fields['server']}"


def with_roles(snapshot: Snapshot, role_map: Mapping[str, str]) -> Snapshot:
    """The same with other names of roles.

    :param role_map: name -> name. A ``*`` in both stands for the same text: ``aria_stage_*`` -> ``aria_prod_*``.
    """
    if not role_map:
        return snapshot
    objects: dict[str, dict[str, Fields]] = {}
    for kind, found in snapshot.objects.items():
        for name, fields in found.items():
            new = _with_roles(fields, role_map)
            anonymous = kind in ("default_privileges", "user_mapping")
            objects.setdefault(kind, {})[named(kind, new) if anonymous else name] = new
    return Snapshot(snapshot.server_major, objects)


def _with_roles(fields: Fields, role_map: Mapping[str, str]) -> Fields:
    new = dict(fields)
    for key in ("owner", "creator", "user"):
        if key in new:
            new[key] = _role(new[key], role_map)
    if "roles" in new:
        new["roles"] = sorted({_role(role, role_map) for role in new["roles"]})
    if "grants" in new:
        grants: dict[str, list[str]] = {}
        for role, privileges in new["grants"].items():
            renamed = _role(role, role_map)
            grants[renamed] = sorted({*grants.get(renamed, []), *privileges})
        mine = grants.pop(str(new.get("owner", new.get("creator"))), None)
        if mine:
            grants[OWNER] = sorted({*grants.get(OWNER, []), *mine})
        new["grants"] = grants
    return new


def _role(name: str, role_map: Mapping[str, str]) -> str:
    if name in role_map:
        return role_map[name]
    for pattern, new in role_map.items():
        start, star, end = pattern.partition("*")
        if star and len(name) >= len(start) + len(end) and name.startswith(start) and name.endswith(end):
            return new.replace("*", name[len(start) : len(name) - len(end)], 1)
    return name
