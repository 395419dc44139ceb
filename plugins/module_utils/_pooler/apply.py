# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry a plan out. The old configuration is put back if the process does not take the new one."""

from __future__ import annotations

import datetime
import os
import pwd
import re
import secrets
import ssl
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from ansible_collections.dbops.postgres.plugins.module_utils._certificate import not_after
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.observe import (
    Run,
    ask,
    observe_live,
    place,
    running,
)
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.plan import (
    Observed,
    PoolerPlan,
    Turn,
    Write,
    refuse_mismatch,
    texts,
    unit,
)
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.spec import PoolerSpec
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.trial import try_out

START_SECONDS = 60
SETTLE_SECONDS = 10.0
MIGRATE = "/proc/sys/net/ipv4/tcp_migrate_req"


def refuse_bad_certificates(spec: PoolerSpec) -> None:
    """The pooler would refuse every client with a certificate that does not fit its key, and every client would refuse
    one that has expired; so find out before.

    :raises DbopsError: a file is missing, no certificate, not the key's, or expired.
    """
    if spec.tls_certificate:
        try:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            # A key with a passphrase would otherwise be asked for on the terminal.
            context.load_cert_chain(spec.tls_certificate, spec.tls_key, password="")
        except (OSError, ssl.SSLError) as error:
            raise DbopsError(
                f"pgbouncer_tls_certificate {spec.tls_certificate} with pgbouncer_tls_key {spec.tls_key}: {error}",
                "Give a certificate in PEM and its own key, both on the host.",
            ) from None
        _refuse_expired(spec.tls_certificate)
    if spec.server_tls_ca:
        try:
            ssl.create_default_context(cafile=spec.server_tls_ca)
        except (OSError, ssl.SSLError) as error:
            raise DbopsError(
                f"pgbouncer_server_tls_ca {spec.server_tls_ca}: {error}", "Give the authority's certificate in PEM."
            ) from None


def _refuse_expired(path: str) -> None:
    with open(path, encoding="ascii", errors="replace") as stream:
        own = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", stream.read(), re.DOTALL)
    try:
        end = not_after(ssl.PEM_cert_to_DER_cert(own[0] if own else ""))
    except ValueError:
        return  # OpenSSL has read it, and knows kinds that we do not
    if end < datetime.datetime.now(datetime.timezone.utc):
        raise DbopsError(
            f"pgbouncer_tls_certificate {path} has expired: it was valid until {end:%Y-%m-%d %H:%M} UTC",
            "Give one that is valid; no client that verifies it would come in.",
        )


# What the trial has otherwise, so that it disturbs nobody.
_OF_THE_TRIAL = frozenset({"listen_addr", "auth_file", "auth_hba_file"})


def refuse_what_is_not_taken(spec: PoolerSpec, observed: Observed) -> None:
    """Let a process of its own read the new files, and compare what it says with what is declared.

    :raises DbopsError: it does not start, or says something else. Nothing was changed.
    """
    live = try_out(texts(spec, observed), spec.port)
    refuse_mismatch(spec, live, observed.version, _OF_THE_TRIAL)


def apply(spec: PoolerSpec, observed: Observed, plan: PoolerPlan, run: Run) -> None:
    """Write the files, let the process take them, and compare what it says with what is declared.

    :raises DbopsError: after everything that was written has been put back.
    """
    begun: list[Turn] = []
    files = _Files(plan.writes)
    try:
        files.put_in_place()
        _reload_units(plan, run)
        for turn in plan.turns:
            begun.append(turn)
            _activate(turn, spec, run)
            if turn.verb not in ("stop", "retire"):
                _settled(spec, observed, plan, turn.number, run)
        for write in plan.writes:
            if write.after is None:  # not before the process that reads it has gone
                with _told(write.path):
                    os.unlink(write.path)
    except DbopsError as error:
        raise DbopsError(error.problem, error.remedy, _put_back(spec, observed, plan, begun, files, run)) from None
    finally:
        files.forget()


def _settled(spec: PoolerSpec, observed: Observed, plan: PoolerPlan, number: int, run: Run) -> None:
    """A reload is done some moments after it was asked for: wait until the process says what is declared."""
    limit = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            live = observe_live(run, number)
            refuse_mismatch(spec, live, observed.version, live.fixed if plan.waits else frozenset(), number)
            return
        except DbopsError:
            if time.monotonic() > limit:
                raise
        time.sleep(0.1)


def _reload_units(plan: PoolerPlan, run: Run) -> None:
    if any(write.path.startswith("/etc/systemd/") for write in plan.writes):
        _systemctl(run, "daemon-reload", "")


def _activate(turn: Turn, spec: PoolerSpec, run: Run) -> None:
    name = unit(turn.number)
    if turn.verb == "reload":
        with ask(place(run, turn.number)) as questions:
            questions("RELOAD")
        return
    if turn.verb in ("replace", "retire"):
        _drain(turn.number, spec.restart_wait, run)
    _systemctl(run, "reset-failed", name)
    if turn.verb in ("stop", "retire"):
        _systemctl(run, "disable --now", name)
    elif turn.verb == "start" and turn.number > 1:
        _systemctl(run, "enable --now", name)
    else:
        _systemctl(run, "restart" if turn.verb == "restart" else "start", name)


def _drain(number: int, seconds: int, run: Run) -> None:
    """Let a process take no new clients, which the others do, wait until its own have left, and end it.

    Those who stay for longer are disconnected between two transactions. The unit is not restarted, which the further
    processes would be with it.
    """
    with taking_over():
        with ask(place(run, number)) as questions:
            questions("SHUTDOWN WAIT_FOR_CLIENTS")
        for signal, patience in (("SIGINT", seconds), ("SIGKILL", START_SECONDS)):
            limit = time.monotonic() + patience
            while number in running(run):
                if time.monotonic() > limit:
                    run(["systemctl", "kill", f"--signal={signal}", unit(number)])
                    break
                time.sleep(0.2)


@contextmanager
def taking_over(path: str = MIGRATE) -> Iterator[None]:
    """Let clients that are about to connect to a process that closes its port go to another one: they would be reset
    (Linux 5.14, networking/ip-sysctl.rst, ``tcp_migrate_req``).

    Where the kernel is older, or does not let us (in a container), it stays as it is.
    """
    try:
        with open(path, "r+", encoding="ascii") as file:
            before = file.read()
            file.seek(0)
            file.write("1")
    except OSError:
        before = ""
    try:
        yield
    finally:
        if before:
            with suppress(OSError), open(path, "w", encoding="ascii") as file:
                file.write(before)


def _systemctl(run: Run, verb: str, name: str) -> None:
    status, _out, err = run(["timeout", str(START_SECONDS), "systemctl", *verb.split(), *([name] if name else [])])
    if status != 0 and verb != "reset-failed":
        _status, log, _err = run(["journalctl", "--no-pager", "--quiet", "--lines=5", "--output=cat", "--unit", name])
        said = "; ".join(line for line in log.splitlines() if "FATAL" in line or "ERROR" in line) or err.strip()
        raise DbopsError(f"systemctl {verb} {name} failed: {said}", f"See journalctl -u {name}.")


def _put_back(
    spec: PoolerSpec, observed: Observed, plan: PoolerPlan, begun: list[Turn], files: _Files, run: Run
) -> str:
    try:
        files.put_back()
    except DbopsError as error:
        return f"The previous configuration could not be put back: {error.problem}"
    try:
        _reload_units(plan, run)
        for turn in begun:
            if turn.number not in observed.processes:
                run(["systemctl", *(["disable", "--now"] if turn.number > 1 else ["stop"]), unit(turn.number)])
            elif turn.verb == "reload":
                _activate(turn, spec, run)
            elif turn.verb in ("stop", "retire"):
                _systemctl(run, "enable --now", unit(turn.number))
            else:
                _systemctl(run, "restart", unit(turn.number))
    except DbopsError as error:
        return f"The previous configuration was put back, but: {error.problem}"
    if observed.processes:
        return "The previous configuration was put back, and the pooler runs with it."
    return "The previous configuration was put back; the pooler is stopped, as it was."


class _Files:
    """The plan's files, so that a full disk at any moment leaves all of them new or all of them old.

    All new ones are written beside the old ones before any is renamed, and the old ones keep a second name, so that
    putting them back needs no space.
    """

    def __init__(self, writes: Sequence[Write]) -> None:
        self._staged: list[tuple[str, str]] = []
        self._kept: list[tuple[str, str]] = []
        self._made: list[str] = []
        try:
            for write in writes:
                if write.before is not None:
                    self._kept.append((_second_name(write.path), write.path))
                if write.after is not None:
                    self._staged.append((_beside(write.path, write.after, write.mode, write.owner), write.path))
        except DbopsError:
            self.forget()
            raise

    def put_in_place(self) -> None:
        """Rename the new ones."""
        while self._staged:
            temporary, path = self._staged[0]
            if not os.path.exists(path):
                self._made.append(path)
            with _told(path):
                os.replace(temporary, path)
            self._staged.pop(0)

    def put_back(self) -> None:
        """Rename the old ones to what they were; those that were not there go."""
        while self._kept:
            temporary, path = self._kept[0]
            with _told(path):
                os.replace(temporary, path)
            self._kept.pop(0)
        for path in self._made:
            with suppress(FileNotFoundError), _told(path):
                os.unlink(path)

    def forget(self) -> None:
        """Remove what is left beside the files."""
        for temporary, _path in (*self._staged, *self._kept):
            with suppress(OSError):
                os.unlink(temporary)


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DbopsError(f"{path} cannot be written: {error.strerror}", "Mend that, and run this again.") from None


def _second_name(path: str) -> str:
    temporary = f"{os.path.dirname(path)}/.dbops-{secrets.token_hex(4)}"
    with _told(path):
        os.link(path, temporary)
    return temporary


def _beside(path: str, text: str, mode: int, owner: str) -> str:
    """A file in the same directory, whole on the disk, with its final mode and owner from the start; its name."""
    account = pwd.getpwnam(owner)
    directory = os.path.dirname(path)
    temporary = ""
    try:
        os.makedirs(directory, mode=0o755, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".dbops-", dir=directory)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            os.fchown(stream.fileno(), account.pw_uid, account.pw_gid)
            os.fchmod(stream.fileno(), mode)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        if temporary:
            os.unlink(temporary)
        raise DbopsError(f"{path} cannot be written: {error.strerror}", "Mend that, and run this again.") from None
    return temporary
