# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations as their tool sees them: which files they are, in which order, under which id, with which checksum. Pure.

A layout is a convention of a tool. ``command`` is for tools that keep no SQL files (Alembic, Entity Framework, ...):
there is nothing to read, only a command to run.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from ansible_collections.dbops.postgres.plugins.module_utils._findings import natural
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

PRISMA, FLYWAY, GOLANG_MIGRATE, PLAIN, COMMAND = "prisma", "flyway", "golang-migrate", "plain", "command"
LAYOUTS = (PRISMA, FLYWAY, GOLANG_MIGRATE, PLAIN, COMMAND)
AUTO = "auto"

_FLYWAY = re.compile(r"(?P<kind>[VU])(?P<version>\d+(?:[._]\d+)*)__(?P<name>.+)\.sql$")
_FLYWAY_REPEATABLE = re.compile(r"R__(?P<name>.+)\.sql$")
_FLYWAY_LIKE = re.compile(r"[VUR]\d*[^/]*__[^/]*\.sql$")
_GOLANG = re.compile(r"(?P<version>\d+)_(?P<name>.*)\.(?P<kind>up|down)\.sql$")
_NUMBER = re.compile(r"(?P<number>\d{1,7})(?![\d]|[-._]?\d)")
_NO_TRANSACTION = re.compile(r"^\s*--\s*dbops:\s*no-transaction\s*$", re.MULTILINE)
_FLYWAY_NO_TRANSACTION = re.compile(r"^\s*executeInTransaction\s*=\s*false\s*$", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Migration:
    """One step of the schema.

    :param id: what the tool's own table calls it: Prisma the folder, Flyway the version, golang-migrate the number,
        a plain folder the file's name without ``.sql``. Flyway's repeatable ones: ``R__name``.
    :param path: relative to the source, with ``/``.
    :param down_path: the file that takes it back; empty: there is none, and ``down_sql`` is None.
    :param checksum: of the text, as the tool itself computes it; empty: the tool keeps none.
    :param in_transaction: whether the tool runs the whole file in one transaction.
    :param repeatable: Flyway runs it again whenever its text has changed.
    """

    id: str
    name: str
    path: str
    sql: str
    down_path: str
    down_sql: str | None
    checksum: str
    in_transaction: bool
    repeatable: bool = False


@dataclass(frozen=True)
class Source:
    """The migrations of one folder, in the order in which the tool runs them."""

    layout: str
    migrations: tuple[Migration, ...]

    def by_id(self, migration_id: str) -> Migration | None:
        """The migration that the tool's table means by ``migration_id``."""
        wanted = same_id(self.layout, migration_id)
        return next((m for m in self.migrations if same_id(self.layout, m.id) == wanted), None)


def same_id(layout: str, migration_id: str) -> str:
    """Ids that a tool takes for the same one become equal: Flyway's ``1.0`` and ``01``, golang-migrate's ``000001``."""
    if layout == FLYWAY and re.fullmatch(r"\d+(?:[._]\d+)*", migration_id):
        parts = [int(part) for part in re.split("[._]", migration_id)]
        while len(parts) > 1 and parts[-1] == 0:
            parts.pop()
        return ".".join(map(str, parts))
    if layout == GOLANG_MIGRATE and migration_id.isdecimal():
        return str(int(migration_id))
    return migration_id


def unchanged(layout: str, migration: Migration, recorded: str) -> bool:
    """Whether the text is still the one that was applied, by the checksum that the tool has recorded.

    Git may change the ends of lines; Prisma accepts either, and so does this.
    """
    if layout != PRISMA:
        return recorded == migration.checksum
    unix = migration.sql.replace("\r\n", "\n")
    texts = (migration.sql, unix, migration.sql.replace("\n", "\r\n"), unix.replace("\n", "\r\n"))
    digests = [hashlib.sha256(text.encode()).digest() for text in texts]
    # Early versions of Prisma recorded each byte without its leading zero.
    return any(recorded in (digest.hex(), "".join(f"{byte:x}" for byte in digest)) for digest in digests)


def detect(paths: Iterable[str]) -> str:
    """The layout of a folder with these files.

    :raises DbopsError: there are no migrations, or the files of several layouts.
    """
    files = sorted(paths)
    layouts = []
    if any(re.search(r"(^|/)migration\.sql$", path) for path in files):
        layouts.append(PRISMA)
    if any(_FLYWAY.match(_base(path)) or _FLYWAY_REPEATABLE.match(_base(path)) for path in files):
        layouts.append(FLYWAY)
    if any(path.endswith(".up.sql") and _GOLANG.match(_base(path)) for path in files):
        layouts.append(GOLANG_MIGRATE)
    if len(layouts) > 1:
        raise DbopsError(
            f"The folder holds migrations of several layouts: {', '.join(layouts)}",
            "Say which one is meant with the option layout, or point path to the folder of one of them.",
        )
    if layouts:
        return layouts[0]
    if any("/" not in path and path.endswith(".sql") for path in files):
        return PLAIN
    raise DbopsError(
        "There are no migrations: no */migration.sql (Prisma), V1__name.sql (Flyway), 000001_name.up.sql "
        "(golang-migrate) and no *.sql in the folder itself",
        "Point path to the folder that the migration tool reads.",
    )


def arrange(files: Mapping[str, bytes], layout: str = AUTO) -> Source:
    """The migrations among the files of a folder (relative path -> content).

    :raises DbopsError: no or several layouts, duplicate versions, a missing file, text that is not UTF-8.
    """
    chosen = detect(files) if layout == AUTO else layout
    if chosen == COMMAND:
        return Source(COMMAND, ())
    if chosen not in _READERS:
        raise DbopsError(f"There is no layout {layout!r}", f"Layouts are: {', '.join((AUTO, *LAYOUTS))}.")
    migrations = _READERS[chosen](files)
    if not migrations:
        raise DbopsError(f"There are no migrations of layout {chosen} in the folder", _SHAPES[chosen])
    return Source(chosen, tuple(migrations))


def _prisma(files: Mapping[str, bytes]) -> list[Migration]:
    """``<folder>/migration.sql``, in the order of the folders' names; a ``down.sql`` beside it takes it back."""
    folders = sorted({path.rsplit("/", 1)[0] for path in files if "/" in path})
    found = []
    for folder in folders:
        path, down = f"{folder}/migration.sql", f"{folder}/down.sql"
        if path not in files:
            raise DbopsError(f"{folder} has no migration.sql", "Restore the file, or remove the folder.")
        sql = _text(path, files)
        # The checksum is of the bytes: a byte order mark counts.
        checksum = hashlib.sha256(files[path]).hexdigest()
        name = _base(folder)
        found.append(_with_down(Migration(name, name, path, sql, "", None, checksum, False), down, files))
    _refuse_twins([(m.id, m.path) for m in found])
    return sorted(found, key=lambda m: m.id)


def _flyway(files: Mapping[str, bytes]) -> list[Migration]:
    versioned, repeatable, undo = [], [], {}
    for path in sorted(files):
        base = _base(path)
        match, again = _FLYWAY.match(base), _FLYWAY_REPEATABLE.match(base)
        if not match and not again:
            if _FLYWAY_LIKE.match(base):
                raise DbopsError(f"{path} has no version that Flyway understands", _SHAPES[FLYWAY])
            continue
        configuration = files.get(f"{path}.conf", b"").decode("utf-8", "replace")
        in_transaction = not _FLYWAY_NO_TRANSACTION.search(configuration)
        sql = _text(path, files)
        if again:
            words = again["name"].replace("_", " ")
            repeatable.append(
                Migration(f"R__{again['name']}", words, path, sql, "", None, _crc(sql), in_transaction, True)
            )
        elif match and match["kind"] == "U":
            undo[same_id(FLYWAY, match["version"])] = path
        elif match:
            version, words = match["version"].replace("_", "."), match["name"].replace("_", " ")
            versioned.append(Migration(version, words, path, sql, "", None, _crc(sql), in_transaction))
    _refuse_twins([(same_id(FLYWAY, m.id), m.path) for m in versioned])
    _refuse_twins([(m.id, m.path) for m in repeatable])
    paired = [_with_down(m, undo.pop(same_id(FLYWAY, m.id), ""), files) for m in versioned]
    _refuse_orphans(undo.values(), "V")
    return [*sorted(paired, key=lambda m: natural(same_id(FLYWAY, m.id))), *sorted(repeatable, key=lambda m: m.name)]


def _golang(files: Mapping[str, bytes]) -> list[Migration]:
    ups: list[tuple[str, str, str]] = []
    downs: list[tuple[str, str]] = []
    for path in sorted(files):
        match = _GOLANG.match(_base(path))
        if match and match["kind"] == "up":
            ups.append((str(int(match["version"])), path, match["name"].replace("_", " ")))
        elif match:
            downs.append((str(int(match["version"])), path))
    _refuse_twins([(version, path) for version, path, name in ups])
    _refuse_twins(downs)
    left = dict(downs)
    found = []
    for version, path, name in sorted(ups, key=lambda up: int(up[0])):
        # The whole file is one simple query, which PostgreSQL runs as one transaction.
        migration = Migration(version, name, path, _text(path, files), "", None, "", True)
        found.append(_with_down(migration, left.pop(version, ""), files))
    _refuse_orphans(left.values(), ".up.sql")
    return found


def _plain(files: Mapping[str, bytes]) -> list[Migration]:
    tops = [path for path in files if "/" not in path and path.endswith(".sql")]
    downs = {path for path in tops if path.endswith(".down.sql")}
    found = []
    for path in sorted(set(tops) - downs, key=lambda path: (natural(path), path)):
        stem = path[: -len(".sql")]
        down = f"{stem}.down.sql"
        sql = _text(path, files)
        checksum = hashlib.sha256(files[path]).hexdigest()
        in_transaction = not _NO_TRANSACTION.search(sql)
        found.append(_with_down(Migration(stem, stem, path, sql, "", None, checksum, in_transaction), down, files))
        downs.discard(down)
    _refuse_orphans(sorted(downs), ".sql")
    numbers = [(str(int(match["number"])), m.path) for m in found if (match := _NUMBER.match(m.id))]
    _refuse_twins(numbers)
    return found


_READERS: dict[str, Callable[[Mapping[str, bytes]], list[Migration]]] = {
    PRISMA: _prisma,
    FLYWAY: _flyway,
    GOLANG_MIGRATE: _golang,
    PLAIN: _plain,
}
_SHAPES = {
    PRISMA: "It wants one folder for each migration, with a migration.sql: 20260101120000_name/migration.sql.",
    FLYWAY: "It wants V<version>__<name>.sql, U<version>__<name>.sql to undo and R__<name>.sql, with two underscores.",
    GOLANG_MIGRATE: "It wants <number>_<name>.up.sql and, to take it back, <number>_<name>.down.sql.",
    PLAIN: "It wants *.sql in the folder itself, which run in the order of their names.",
}


def _with_down(migration: Migration, down: str, files: Mapping[str, bytes]) -> Migration:
    if not down or down not in files:
        return migration
    return replace(migration, down_path=down, down_sql=_text(down, files))


def _refuse_twins(versions: Iterable[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for version, path in versions:
        if version in seen:
            raise DbopsError(
                f"Version {version} is there twice: {seen[version]} and {path}",
                "Give the one that is not applied yet the next version.",
            )
        seen[version] = path


def _refuse_orphans(paths: Iterable[str], partner: str) -> None:
    for path in paths:
        raise DbopsError(
            f"{path} takes back a migration that is not there (no {partner} file of this version)",
            "Restore the missing file, or remove this one.",
        )


def _text(path: str, files: Mapping[str, bytes]) -> str:
    content = files[path]
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DbopsError(f"{path} is UTF-16", "Save it as UTF-8.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DbopsError(f"{path}:{line} is not UTF-8", "Save the file as UTF-8.") from None
    if "\x00" in text:
        raise DbopsError(f"{path} holds a NUL byte, which no SQL text can", "Save the file as UTF-8 text.")
    return text


def _crc(text: str) -> str:
    """Flyway's: CRC-32 of the lines without their ends, as a signed 32-bit number."""
    value = 0
    for line in re.split("\r\n|\r|\n", text):
        value = zlib.crc32(line.encode(), value)
    return str(value - (1 << 32) if value >= 1 << 31 else value)


def _base(path: str) -> str:
    return path.rsplit("/", 1)[-1]
