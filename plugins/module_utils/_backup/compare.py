# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was dumped against what was restored: every difference with the name of its object. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ansible_collections.dbops.postgres.plugins.module_utils._backup.contents import Contents, SequenceState

# What every new database has, also when the dumped one had it no more.
_OF_TEMPLATE0 = ("schema public", "extension plpgsql")


def contents(dumped: Contents, restored: Contents) -> list[str]:
    """Rows, their hashes, sequences and large objects."""
    return [*_tables(dumped, restored), *_sequences(dumped.sequences, restored.sequences), *_objects(dumped, restored)]


def _tables(dumped: Contents, restored: Contents) -> Iterator[str]:
    for name, was in dumped.tables.items():
        found = restored.tables.get(name)
        if found is None:
            yield f"table {name}, {was.rows} rows in the manifest, was not restored"
        elif found.rows != was.rows:
            lost = was.rows - found.rows
            words = f"{lost} missing" if lost > 0 else f"{-lost} too many"
            yield f"table {name}: {found.rows} rows, the manifest says {was.rows} ({words})"
        elif was.hash is not None and found.hash != was.hash:
            yield f"table {name}: {found.rows} rows as in the manifest, but what is in them differs"


def _sequences(dumped: Mapping[str, SequenceState], restored: Mapping[str, SequenceState]) -> Iterator[str]:
    # A sequence obeys no snapshot: between the manifest and the dump it may have gone on, and never back.
    for name, was in dumped.items():
        found = restored.get(name)
        if found is None:
            yield f"sequence {name} was not restored"
        elif not was.cycle and (_position(found) - _position(was)) * was.increment < 0:
            yield f"sequence {name} stands at {found.last_value}, before the {was.last_value} of the manifest"


def _position(state: SequenceState) -> int:
    return state.last_value if state.is_called else state.last_value - state.increment


def _objects(dumped: Contents, restored: Contents) -> Iterator[str]:
    if dumped.large_objects != restored.large_objects:
        yield f"{restored.large_objects} large objects, the manifest says {dumped.large_objects}"


def schema(dumped: Mapping[str, str], restored: Mapping[str, str]) -> list[str]:
    """Definitions."""
    missing = [f"{name} was not restored" for name in dumped if name not in restored]
    differ = [f"{name} is defined differently" for name in dumped if restored.get(name, dumped[name]) != dumped[name]]
    more = [f"{name} is not in the manifest" for name in restored if name not in dumped and name not in _OF_TEMPLATE0]
    return [*missing, *differ, *more]
