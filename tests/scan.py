# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Search a repository's history for credentials with gitleaks: ``python -m tests.scan``.

Debian 12 does not package gitleaks. A machine that lacks it uses a throwaway host with Debian 13, to which the history
goes as a bundle.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.throwaway import CHECKOUT, Host, HostError, HostSpec, up

GROUP = "scan"
CONFIGURATION = (".gitleaks.toml", "docs/ci/gitleaks.toml")
DETECT = ("gitleaks", "detect", "--redact", "--no-banner", "--report-format=json", "--exit-code=0")


def main() -> int:
    """Scan this repository; the exit status is 1 when there is a credential in any commit."""
    found = history(CHECKOUT, CHECKOUT, CONFIGURATION)
    for leak in found:
        print(
            f"{leak['File']}:{leak['StartLine']}: {leak['Description']} ({leak['RuleID']}, commit {leak['Commit'][:8]})"
        )
    return int(bool(found))


def history(repository: Path, base: Path, configuration: Sequence[str]) -> list[dict[str, Any]]:
    """What gitleaks finds in all commits of ``repository``, secrets redacted.

    :param configuration: files of gitleaks relative to ``base``, the first of which is used.
    :raises HostError: there is neither gitleaks nor a throwaway host, or it has failed.
    """
    with tempfile.TemporaryDirectory() as directory:
        bundle = Path(directory, "bundle")
        subprocess.run(["git", "bundle", "create", "-q", bundle, "--all"], cwd=repository, check=True)
        archive = Path(directory, "in.tar")
        shutil.copy(bundle, Path(directory, "history"))
        files = [word for name in configuration for word in ("-C", str(base), name)]
        subprocess.run(["tar", "-cf", archive, "-C", directory, "history", *files], check=True)
        script = f"""
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
tar -xf -
git clone --quiet --mirror history repository.git
{" ".join(DETECT)} --log-level=error --config={configuration[0]} --source=repository.git --report-path=report >&2
cat report
"""
        command = ["sh", "-c", script] if shutil.which("gitleaks") else _host().ssh_command("sh", "-c", script)
        with archive.open("rb") as stream:
            done = subprocess.run(command, stdin=stream, capture_output=True, timeout=600, check=False)
    if done.returncode != 0:
        raise HostError(f"gitleaks has failed:\n{done.stderr.decode()[-2000:]}")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _host() -> Host:
    (host,) = up(GROUP, [HostSpec("scan", "debian13")], keep=True)
    try:
        host.run("sh", "-c", "command -v gitleaks git")
    except HostError:
        host.run("sh", "-c", "apt-get -q update && apt-get -q install --yes --no-install-recommends gitleaks git")
    return host


if __name__ == "__main__":
    sys.exit(main())
