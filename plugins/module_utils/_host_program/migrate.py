# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job of a migration on this host: a run with its record, and what is applied."""

from __future__ import annotations

import contextlib
import datetime
import getpass
import os
import re
import signal
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any, NoReturn
from urllib.parse import quote

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._evidence import record_check
from ansible_collections.dbops.postgres.plugins.module_utils._host_program import config
from ansible_collections.dbops.postgres.plugins.module_utils._host_program.migrate_ports import HostPorts
from ansible_collections.dbops.postgres.plugins.module_utils._migration import history, record
from ansible_collections.dbops.postgres.plugins.module_utils._migration.record import Record
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run import Run
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_gate import applied_at
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_session import looking
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_spec import spec_from
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_state import Store
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import same_id
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source_read import read_source
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

RECORDS = "/var/lib/dbops-postgres/migrations"


def hold(
    params: Mapping[str, Any], *, check: bool, tell: Callable[[str], None], database_url: str = ""
) -> tuple[Record, str]:
    """Make a run and leave its record, unless it was only asked; the record and its path.

    :param params: of the module: those of :class:`MigrateSpec`, the folder ``path``, where the server is.
    :raises DbopsError: the parameters or the files cannot be meant.
    """
    spec = spec_from(params)
    source = read_source(params.get("path") or "", spec.layout)
    login = _login(params)
    now = datetime.datetime.now(datetime.timezone.utc)
    found = Record(
        new_id(spec.database, now),
        spec.database,
        host=os.uname().nodename,
        who=params.get("who") or os.environ.get("SUDO_USER") or getpass.getuser(),
        started=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        layout=source.layout,
    )
    spec = replace(spec, layout=source.layout, label=spec.label or label_of(spec.database))
    ports = HostPorts(
        spec.database,
        login,
        params.get("backup_config") or config.BACKUP_CONFIG,
        params.get("drill_config") or config.CONFIG,
        spec.command,
        params.get("command_directory") or "",
        database_url,
        tell=tell,
    )
    path = ""
    with _on_its_own():
        try:
            Run(spec, source, ports, login, Store(spec.database), found, check=check, tell=tell).hold()
        finally:
            if not check:
                path = _leave(found, bool(params.get("evidence")), tell)
    return found, path


@contextlib.contextmanager
def _on_its_own() -> Generator[None, None, None]:
    """A run goes on to its end when the controller is gone. Told to stop, it takes away what it has set up."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stopped)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stopped(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _leave(found: Record, evidence: bool, tell: Callable[[str], None]) -> str:
    """Leave the record; a disk that is full must not hide how the run ended."""
    try:
        path = save(found)
        if evidence:
            leave_evidence(found, path)
    except OSError as error:
        found.words += f" The record could not be written: {error}."
        tell(f"record: failed: {error}")
        return ""
    return path


def label_of(database: str) -> str:
    """The end of the set's name."""
    return re.sub(r"[^a-z0-9]+", "-", f"migrate-{database}".lower()).strip("-")[:40].strip("-")


def save(found: Record, directory: str = RECORDS) -> str:
    """Write the record, as JSON and for a person; the path of the first."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    path = os.path.join(directory, f"{found.id}.json")
    for name, text in ((path, record.to_json(found)), (f"{path[:-5]}.md", record.to_markdown(found))):
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    return path


def leave_evidence(found: Record, path: str) -> None:
    """For the readiness report: the last run that came as far as to be rehearsed."""
    if "rehearsal" not in [stage.name for stage in found.stages]:
        return
    # A migration that failed and left everything as it was has shown that the way back works.
    safe = found.verdict != record.BROKEN
    lint = "not_tested" if not found.lint else "pass" if found.lint.get("passed") and safe else "fail"
    words = f"{found.verdict}: {found.words}"
    facts = {"verdict": found.verdict, "set": found.set, "way_back": found.way_back, "record": path}
    statuses = {"E-3": ["pass" if safe else "fail"], "E-4": [lint]}
    record_check("pg_migrate", found.database, safe, words, facts, statuses)


def new_id(database: str, now: datetime.datetime) -> str:
    """The name of a run."""
    return f"{now:%Y%m%dT%H%M%SZ}-{quote(database, safe='')}"


def applied(params: Mapping[str, Any]) -> dict[str, Any]:
    """What is applied of a folder, and what is not, for the lint on another host.

    :raises DbopsError: the files are not those that were applied, or cannot be read.
    """
    source = read_source(params["path"], params["layout"])
    now = datetime.datetime.now(datetime.timezone.utc)
    remedy = "Look at the table of applied migrations, or name it: history_table."
    unread = _postgres.reported(f"What is applied to {params['database']} cannot be read", remedy)
    with unread, looking(_login(params), params["database"]) as cursor:
        found = history.read(cursor, source.layout, params["history_table"])
    checksums = {same_id(source.layout, row.id): row.checksum for row in found.rows}
    return {
        "layout": source.layout,
        "table": ".".join(found.table) if found.table else "",
        "applied": [
            {
                "id": key,
                "applied_at": when.isoformat(timespec="seconds"),
                "checksum": checksums.get(same_id(source.layout, key), ""),
            }
            for key, when in applied_at(source, found, now).items()
        ],
        "pending": [migration.path for migration in history.pending(source, found)],
        "unfinished": list(found.unfinished),
    }


def _login(params: Mapping[str, Any]) -> Login:
    return Login(unix_socket=params.get("login_unix_socket") or "/var/run/postgresql", port=params["login_port"])
