# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest comes from a target that somebody else may write to: nothing in it is believed unseen."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._backup.contents import Contents, TableContents
from ansible_collections.dbops.postgres.plugins.module_utils._backup.manifest import (
    DumpedDatabase,
    Manifest,
    StoredObject,
    complete,
    parse,
    to_json,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

ID = "20261124T010000Z-a"
SHOP = DumpedDatabase(
    "shop",
    StoredObject("shop.dump", 9, "x"),
    8,
    {"hstore": "1.8"},
    ("app",),
    {"OWNER": "app"},
    Contents({"public.t": TableContents(1, "7")}, {}, {"table public.t": "h"}, 0),
)
MADE = Manifest(ID, 1.5, "main", "17.2", 17, "postgres", "hashes", StoredObject("globals.sql", 3, "y"), (SHOP,))


def read(text: str) -> Manifest:
    return parse(ID, complete(text).encode(), text.encode())


def test_what_was_written_is_read() -> None:
    assert read(to_json(MADE)) == MADE


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["major"], "../../../tmp/x"),
        (["major"], True),
        (["time"], "yesterday"),
        (["time"], 1e300),
        (["time"], float("nan")),
        (["superuser"], None),
        (["globals", "name"], "../other/globals.sql"),
        (["globals", "name"], ".."),
        (["globals", "size"], "3"),
        (["globals"], []),
        (["databases"], None),
        (["databases", 0, "dump", "name"], "/etc/passwd"),
        (["databases", 0, "contents", "tables"], []),
        (["databases", 0, "contents"], None),
        (["unknown"], 1),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(path: list[Any], value: object) -> None:
    data = json.loads(to_json(MADE))
    at = data
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    with pytest.raises(DbopsError, match=f"manifest.json of set {ID} cannot be read"):
        read(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[]", "null", "\udcff", "[" * 100_000])
def test_what_is_no_manifest_is_refused_in_words(text: str) -> None:
    data = text.encode("utf-8", "surrogateescape")
    marker = complete("").replace("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", _sha(data))
    with pytest.raises(DbopsError, match=f"manifest.json of set {ID} cannot be read"):
        parse(ID, marker.encode(), data)
    with pytest.raises(DbopsError, match=f"complete.json of set {ID} cannot be read"):
        parse(ID, data, data)


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
