# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the tests, one line each: ``python -m tests.run [part [scenario ...]]``.

A failing part does not stop the others. Whole output is in .cache/logs; the last line is ``N passed, N failed``.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.throwaway import CHECKOUT

LOGS = CHECKOUT / ".cache" / "logs"
SANITY = CHECKOUT / ".cache" / "sanity"
TAIL_LINES = 40
TIMEOUT_SECONDS = 40 * 60
ONE_AT_A_TIME = threading.Lock()
RUNNING: set[subprocess.Popen[str]] = set()

ENVIRONMENT = {
    "COLUMNS": "160",
    "MOLECULE_COMMAND_BORDERS": "0",
    "MOLECULE_GLOB": "molecule/*/molecule.yml",
    "NO_COLOR": "1",
}

LINTERS = {
    "ruff check": ["ruff", "check"],
    "ruff format": ["ruff", "format", "--check"],
    "mypy plugins, tests": ["mypy", "-p", "ansible_collections.dbops.postgres.plugins", "-p", "tests"],
    "mypy molecule": ["mypy", "molecule"],
    "ansible-lint": ["ansible-lint"],
    "yamllint": ["yamllint", "--strict", "."],
    "changelog": ["antsibull-changelog", "lint"],
    "documentation": [sys.executable, "-m", "tests.docs"],
    "gitleaks": [sys.executable, "-m", "tests.scan"],
}

# Not run by ansible-test sanity:
# - pslint: there is no PowerShell here, and the tool is not packaged for Debian.
# - compile and import for other versions of Python than the controller's: they are not on every machine. The syntax
#   for the oldest Python of the hosts is checked by ruff (target-version), its behaviour by Molecule on Debian 12.
SANITY_SKIPPED = ("pslint",)

# Emulated without hardware support they take minutes each: one of them is run with every change, these by name.
VIRTUAL_MACHINES = ("encrypt_existing", "luks_rotation", "luks_tpm")


@dataclass(frozen=True)
class Tally:
    """How many tests passed, failed, and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


Count = Callable[[int, str], Tally]


def one(status: int, _output: str) -> Tally:
    """A command is one test."""
    return Tally(passed=int(status == 0), failed=int(status != 0))


def junit(*paths: Path) -> Tally:
    """The cases of JUnit files. A file that was not written is a failure."""
    tally = Tally()
    for path in paths:
        if not path.exists():
            tally += Tally(failed=1)
            continue
        for case in ET.parse(path).iter("testcase"):  # noqa: S314 # our own tools wrote it
            if case.find("failure") is not None or case.find("error") is not None:
                tally += Tally(failed=1)
            elif case.find("skipped") is not None:
                tally += Tally(skipped=1)
            else:
                tally += Tally(passed=1)
    return tally


def honest(status: int, tally: Tally) -> Tally:
    """A command that failed, or did nothing, without a failed case is a failure all the same."""
    if tally.failed == 0 and (status != 0 or tally.passed == 0):
        return tally + Tally(failed=1)
    return tally


def molecule_steps(output: str) -> Tally:
    """The steps of a scenario, from the details that Molecule prints at the end. A playbook it has not is no step."""
    details = output.rpartition("\nDETAILS")[2]
    states = re.findall(r"^\S+ > \w+: Executed: (\w+)", details, re.MULTILINE)
    return Tally(passed=states.count("Successful"), failed=states.count("Failed"))


def check(
    part: str,
    title: str,
    command: Sequence[str],
    count: Count = one,
    *,
    cwd: Path = CHECKOUT,
    environment: Mapping[str, str] | None = None,
    alone: bool = True,
) -> Tally:
    """Run a command with its output in the part's log, and print one line; on failure also the output's tail.

    :param alone: False: others run beside it, so its line is printed when it is done.
    """
    begin = f"{part:<12} {title:<22} "
    if alone:
        print(begin, end="", flush=True)
    start = time.monotonic()
    status, output = _run(command, cwd, {**os.environ, **ENVIRONMENT, **(environment or {})})
    tally = count(status, output)
    log = LOGS / f"{part}.log"
    lines = [f"{'' if alone else begin}{tally!s:<34} {time.monotonic() - start:6.1f} s"]
    if tally.failed:
        lines += [f"    {line}" for line in output.rstrip().splitlines()[-TAIL_LINES:]]
        lines.append(f"    whole log: {log.relative_to(CHECKOUT)}")
    with ONE_AT_A_TIME:
        with log.open("a") as file:
            file.write(f"$ {' '.join(command)}\n{output}\n")
        print("\n".join(lines), flush=True)
    return tally


def _run(command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        return 127, str(error)
    RUNNING.add(process)
    try:
        output = process.communicate(timeout=TIMEOUT_SECONDS)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with whatever it has started
        output = process.communicate()[0]
        return 124, f"{output}\nStopped after {TIMEOUT_SECONDS / 60:.0f} minutes."
    except KeyboardInterrupt:
        _stop()
        raise
    finally:
        RUNNING.discard(process)
    return process.returncode, output


def _stop() -> None:
    for process in list(RUNNING):
        os.killpg(process.pid, signal.SIGTERM)


def lint(_names: Sequence[str]) -> Tally:
    """Each linter is one test."""
    return sum((check("lint", title, command) for title, command in LINTERS.items()), Tally())


def sanity(_names: Sequence[str]) -> Tally:
    """Each test of ansible-test sanity is one test."""
    collection = _copy_for_sanity()
    reports = collection / "tests" / "output" / "junit"
    shutil.rmtree(reports, ignore_errors=True)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = ["ansible-test", "sanity", "--color", "no", "--junit", "--python", python]
    for name in SANITY_SKIPPED:
        command += ["--skip-test", name]
    return check(
        "sanity",
        "ansible-test",
        command,
        lambda status, _output: honest(status, junit(*reports.glob("*.xml"))),
        cwd=collection,
        environment={"HOME": str(SANITY / "home"), "PIP_QUIET": "2"},
    )


def _copy_for_sanity() -> Path:
    """ansible-test wants the collection below ansible_collections, not a link to it, and in a git work tree."""
    collection = SANITY / "ansible_collections" / "dbops" / "postgres"
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    wanted = {name for name in names.split("\0") if name and (CHECKOUT / name).is_file()}
    for name in wanted:
        source, target = CHECKOUT / name, collection / name
        if not target.exists() or target.stat().st_mtime != source.stat().st_mtime:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    for path in collection.rglob("*"):
        inside = path.relative_to(collection)
        if path.is_file() and str(inside) not in wanted and inside.parts[0] != ".git":
            path.unlink()
    if not (collection / ".git").exists():
        subprocess.run(["git", "init", "--quiet", str(collection)], check=True)
    # pip for ansible-test's own environments comes with Python instead of from the network.
    cache = SANITY / "home" / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "get_pip_24_2.py").write_text("import ensurepip\nensurepip.bootstrap(default_pip=True)\n")
    return collection


def unit(_names: Sequence[str]) -> Tally:
    """Pure code."""
    return _pytest("unit", "tests/unit")


def integration(_names: Sequence[str]) -> Tally:
    """Real PostgreSQL of each version, side by side: a server's tests share it, and keep one processor busy."""
    hosts = check("integration", "PostgreSQL 15 and 17", [sys.executable, "-m", "tests.integration.servers"])
    if hosts.failed:
        return hosts
    with ThreadPoolExecutor() as pool:
        halves = [
            pool.submit(_pytest, "integration", "tests/integration", *half)
            for half in (("pytest, 17", "pg17"), ("pytest, 15 and others", "not pg17"))
        ]
        try:
            return sum((half.result() for half in halves), hosts)
        except KeyboardInterrupt:
            _stop()
            raise


def _pytest(part: str, path: str, title: str = "pytest", names: str = "") -> Tally:
    report = LOGS / f"{' '.join(filter(None, [part, names]))}.xml".replace(" ", "-")
    report.unlink(missing_ok=True)
    # Hypothesis: the same examples each time, and no deadline; pytest by hand looks at others.
    options = ["-q", "--tb=short", "--hypothesis-profile=ci", f"--junit-xml={report}"]
    command = ["pytest", *options, *(["-k", names] if names else []), path]
    return check(part, title, command, lambda status, _output: honest(status, junit(report)), alone=not names)


def molecule(names: Sequence[str]) -> Tally:
    """Each step of a scenario and each test of its verification is one test."""
    scenarios = list(names) or sorted(path.parent.name for path in CHECKOUT.glob("molecule/*/molecule.yml"))
    for name in () if names else VIRTUAL_MACHINES:
        scenarios.remove(name)
        print(
            f"{'molecule':12} {name:22} not run: it takes a virtual machine; make molecule SCENARIO={name}", flush=True
        )
    return sum((_scenario(name) for name in scenarios), Tally())


def _scenario(name: str) -> Tally:
    report = LOGS / f"molecule-{name}.xml"
    report.unlink(missing_ok=True)

    def count(status: int, output: str) -> Tally:
        verified = "> verify] Executing" in output
        return honest(status, molecule_steps(output) + (junit(report) if verified else Tally()))

    return check("molecule", name, ["molecule", "test", "--scenario-name", name], count)


PARTS = {part.__name__: part for part in (lint, sanity, unit, integration, molecule)}


def main() -> int:
    """Run what the command line names, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.run", description="Run the tests.")
    parser.add_argument("part", nargs="?", choices=PARTS)
    parser.add_argument("scenarios", nargs="*", help="of Molecule; all, if none is named")
    arguments = parser.parse_args()
    LOGS.mkdir(parents=True, exist_ok=True)
    total = Tally()
    start = time.monotonic()
    for name, part in PARTS.items():
        if arguments.part in (None, name):
            (LOGS / f"{name}.log").unlink(missing_ok=True)
            total += part(arguments.scenarios)
    print(f"{(time.monotonic() - start) / 60:.1f} min")
    if total.skipped:
        print(f"{total.skipped} skipped")
    print(f"{total.passed} passed, {total.failed} failed")
    return 0 if total.passed and not total.failed else 1


if __name__ == "__main__":
    sys.exit(main())
