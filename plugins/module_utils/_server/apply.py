# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry a plan out. The old state stays whole until the new one is proven; what fails is put back."""

from __future__ import annotations

import os
import pwd
import tempfile
import time
from collections.abc import Callable, Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login, connect, execute
from ansible_collections.dbops.postgres.plugins.module_utils._server.observe import Run, observe
from ansible_collections.dbops.postgres.plugins.module_utils._server.plan import ServerPlan, Write
from ansible_collections.dbops.postgres.plugins.module_utils._server.spec import ServerSpec
from ansible_collections.dbops.postgres.plugins.module_utils._server.state import Live, Observed, managed

RELOAD_SECONDS = 30.0


def apply(
    spec: ServerSpec, observed: Observed, plan: ServerPlan, run: Run, backup: Callable[[str], str]
) -> tuple[str, ...]:
    """Write the files, prove them, reload or restart, create what needs the new libraries.

    :param backup: keeps a copy of a file and returns the copy's path; called for pg_hba.conf.
    :returns: settings (and other reasons) that still wait for a restart.
    :raises DbopsError: after everything that was written has been put back.
    """
    hba = managed(spec)[1]
    for write in plan.writes:
        if write.path == hba and write.before is not None and write.before != write.after:
            backup(write.path)
    try:
        for write in plan.writes:
            replace_file(write.path, write.after, write.mode, write.owner)
        _daemon_reload(spec, plan, run)
        if observed.live:
            _refuse_file_errors(observed.live.port)
            pending = _activate(spec, observed.live, plan, run)
        else:
            pending = _start(spec, observed, plan, run)
    except DbopsError as error:
        after = _put_back(spec, observed, plan, run)
        raise DbopsError(error.problem, error.remedy, after) from None
    for step in plan.extensions:
        connection = connect(Login(port=spec.port if not observed.live else _port(spec, run)), step.database)
        try:
            with connection, connection.cursor() as cursor:
                execute(cursor, step)
        finally:
            connection.close()
    return pending


def replace_file(path: str, text: str, mode: int, owner: str) -> None:
    """Put a file in place atomically, with its final mode and owner from the start."""
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o755, exist_ok=True)
    account = pwd.getpwnam(owner)
    handle, temporary = tempfile.mkstemp(prefix=".dbops-", dir=directory)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            os.fchown(stream.fileno(), account.pw_uid, account.pw_gid)
            os.fchmod(stream.fileno(), mode)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _daemon_reload(spec: ServerSpec, plan: ServerPlan, run: Run) -> None:
    if any(write.path == managed(spec)[3] for write in plan.writes):
        _systemctl(run, 60, "daemon-reload")


def _systemctl(run: Run, seconds: int, *arguments: str) -> None:
    status, _out, err = run(["timeout", str(seconds), "systemctl", *arguments])
    if status != 0:
        said = err.strip() or f"exit status {status}"
        raise DbopsError(f"systemctl {' '.join(arguments)} failed: {said}", "See journalctl -xe.")


def _bring_up(spec: ServerSpec, run: Run, verb: str) -> None:
    try:
        _systemctl(run, spec.start_timeout, verb, spec.unit)
    except DbopsError:
        raise DbopsError(
            f"{spec.unit} does not {verb} with the new configuration: {_said(spec)}",
            f"See {_start_log(spec)} and journalctl -u {spec.unit}.",
        ) from None


def _refuse_file_errors(port: int) -> None:
    """The running server reads the new files without using them (views pg_file_settings and pg_hba_file_rules)."""
    connection = connect(Login(port=port), autocommit=True)
    try:
        with connection.cursor() as cursor:
            # What needs a restart is "not applied" as well, and without a file when its line was taken away: no error.
            cursor.execute(
                """
                SELECT pg_catalog.format('%s line %s: %s: %s', f.sourcefile, f.sourceline, f.name, f.error)
                  FROM pg_catalog.pg_file_settings f
                  LEFT JOIN pg_catalog.pg_settings s ON pg_catalog.lower(s.name) = pg_catalog.lower(f.name)
                 WHERE f.error IS NOT NULL AND f.sourcefile IS NOT NULL
                   AND s.context IS DISTINCT FROM 'postmaster'
                UNION ALL
                SELECT pg_catalog.format('pg_hba.conf line %s: %s', line_number, error)
                  FROM pg_catalog.pg_hba_file_rules WHERE error IS NOT NULL
                """
            )
            errors = [row[0] for row in cursor.fetchall()]
    finally:
        connection.close()
    if errors:
        raise DbopsError("PostgreSQL refuses the configuration: " + "; ".join(errors), "Mend the variable behind it.")


def _activate(spec: ServerSpec, before: Live, plan: ServerPlan, run: Run) -> tuple[str, ...]:
    live = before
    if plan.reload:
        live = _reload(spec, before, run)
    waiting = tuple(sorted({*plan.restart, *live.pending}))
    if not waiting:
        return ()
    if not plan.restart_allowed:
        return waiting
    if plan.enable_checksums:
        _systemctl(run, spec.start_timeout, "stop", spec.unit)
        _enable_checksums(spec, run)
        _bring_up(spec, run, "start")
    else:
        _bring_up(spec, run, "restart")
    after = _wait(spec, run, lambda seen: seen.started > before.started)
    _refuse_file_errors(after.port)
    return after.pending


def _start(spec: ServerSpec, observed: Observed, plan: ServerPlan, run: Run) -> tuple[str, ...]:
    if plan.enable_checksums:
        _enable_checksums(spec, run)
    _bring_up(spec, run, "start")
    after = _wait(spec, run, lambda seen: True)
    _refuse_file_errors(after.port)
    return after.pending


def _reload(spec: ServerSpec, before: Live, run: Run) -> Live:
    connection = connect(Login(port=before.port), autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_catalog.pg_reload_conf()")
    finally:
        connection.close()
    return _wait(spec, run, lambda seen: seen.loaded > before.loaded, RELOAD_SECONDS)


def _wait(spec: ServerSpec, run: Run, done: Callable[[Live], bool], seconds: float = 0.0) -> Live:
    """Wait until the server answers and ``done``; a server that is not running at all is not waited for long."""
    limit = time.monotonic() + (seconds or spec.start_timeout)
    gone = 0
    while time.monotonic() < limit and gone < 5:
        try:
            live = observe(spec, run).live
        except DbopsError:  # it is there and does not accept connections yet: crash recovery
            live = None
            gone = 0
        else:
            gone = gone + 1 if live is None else 0
        if live and done(live):
            return live
        time.sleep(0.2 if gone == 0 else 0.5)
    raise DbopsError(
        f"{spec.unit} does not accept connections with the new configuration: {_said(spec)}",
        f"See {_start_log(spec)} and journalctl -u {spec.unit}.",
    )


def _start_log(spec: ServerSpec) -> str:
    return f"/var/log/postgresql/postgresql-{spec.version}-{spec.cluster}.log"


def _said(spec: ServerSpec) -> str:
    try:
        with open(_start_log(spec), encoding="utf-8", errors="replace") as stream:
            lines = stream.read()[-4000:].splitlines()
    except OSError:
        return "it wrote no log"
    telling = [line for line in lines if "FATAL:" in line or "could not" in line]
    return "; ".join(telling[-2:]) or "its log says nothing"


def _port(spec: ServerSpec, run: Run) -> int:
    live = observe(spec, run).live
    return live.port if live else spec.port


def _enable_checksums(spec: ServerSpec, run: Run) -> None:
    data = observe(spec, run).data_directory
    program = f"/usr/lib/postgresql/{spec.version}/bin/pg_checksums"
    status, _out, err = run(["runuser", "-u", "postgres", "--", program, "--enable", "-D", data])
    if status != 0:
        # pg_checksums marks the cluster only at its very end, so it can simply be started again.
        raise DbopsError(f"pg_checksums failed: {err.strip()}", "The cluster is as it was, without checksums.")


def _put_back(spec: ServerSpec, observed: Observed, plan: ServerPlan, run: Run) -> str:
    """Restore the files, and the server if it ran; tells what is now true."""
    for write in plan.writes:
        _restore(write, observed)
    problems: Sequence[str] = ()
    try:
        _daemon_reload(spec, plan, run)
        if observed.live:
            now = observe(spec, run).live
            if now and now.started == observed.live.started:
                _reload(spec, now, run)
            else:
                _systemctl(run, spec.start_timeout, "restart", spec.unit)
                _wait(spec, run, lambda seen: True)
        else:
            _systemctl(run, spec.start_timeout, "stop", spec.unit)
    except DbopsError as error:
        problems = (error.problem,)
    state = "the server runs with it" if observed.live else "the server is stopped, as it was"
    if problems:
        return f"The previous configuration was put back, but: {problems[0]}"
    return f"The previous configuration was put back; {state}."


def _restore(write: Write, observed: Observed) -> None:
    found = observed.files.get(write.path)
    if found and write.before is not None:
        replace_file(write.path, write.before, found.mode, found.owner)
    elif os.path.exists(write.path):
        os.unlink(write.path)
