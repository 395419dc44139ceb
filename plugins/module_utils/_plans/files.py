# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of declared queries, and the baseline that plans are compared with."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._plans.spec import Query, Spec, statement
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError

_FORMAT = 1


def with_files(spec: Spec, directory: str) -> Spec:
    """The queries with the statements of their files; a relative path begins at the spec file's directory.

    :raises SpecError: a file cannot be read, or holds more than one statement.
    """
    return replace(spec, queries=tuple(_with_file(query, directory) for query in spec.queries))


def _with_file(query: Query, directory: str) -> Query:
    if not query.file:
        return query
    where = (*query.where, "file")
    path = os.path.join(directory, query.file)
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(where, f"the file {path} cannot be read: {error}") from None
    return replace(query, sql=statement(text, where))


def read_baseline(path: str) -> Mapping[str, Any] | None:
    """What was measured before; None: the file is not there yet.

    :raises DbopsError: it is something else.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            data = json.load(stream)
        if data["format"] != _FORMAT or not isinstance(data["queries"], dict):
            raise ValueError(f"format {data['format']}")
        return dict(data["queries"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DbopsError(
            f"The baseline {path} cannot be read: {error}", "Delete it, or give another path; it is written anew."
        ) from None


def baseline_text(database: str, queries: Mapping[str, Any]) -> str:
    """The content of a baseline, the same for the same plans but for times."""
    data = {"format": _FORMAT, "database": database, "queries": queries}
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
