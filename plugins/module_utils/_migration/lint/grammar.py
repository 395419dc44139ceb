# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that imports pglast, so that everything else can be imported without it. Pure.

Where it is missing, ``PROBLEM`` says so, and the module says what to install before anything is read.
"""

from __future__ import annotations

import importlib
from typing import Any


def _load(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        return error


_parser, _keywords, _stream = (_load(f"pglast.{name}") for name in ("parser", "keywords", "stream"))
PROBLEM = next((str(part) for part in (_parser, _keywords, _stream) if isinstance(part, ImportError)), "")

parse_sql: Any = getattr(_parser, "parse_sql", None)
parse_plpgsql: Any = None if PROBLEM else _load("pglast").parse_plpgsql
scan: Any = getattr(_parser, "scan", None)
ParseError: Any = getattr(_parser, "ParseError", Exception)
RawStream: Any = getattr(_stream, "RawStream", None)
RESERVED: frozenset[str] = frozenset(getattr(_keywords, "RESERVED_KEYWORDS", ())) | frozenset(
    getattr(_keywords, "TYPE_FUNC_NAME_KEYWORDS", ())
)
