# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``dbops-postgres``: the jobs that timers run and a person types on a host.

Exit status: 0 done; 1 the backup is not what it should be; 2 it could not be tried, or was asked for wrongly. Of
``drift``, as tools that compare schemas have it: 0 the same, 2 they differ, 1 it could not be looked at.
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence
from typing import Any, NoReturn

from ansible_collections.dbops.postgres.plugins.module_utils._backup import faults
from ansible_collections.dbops.postgres.plugins.module_utils._host_program import (
    backup,
    drift,
    drill,
    prune,
    restore,
    status,
)
from ansible_collections.dbops.postgres.plugins.module_utils._host_program.config import (
    BACKUP_CONFIG,
    CONFIG,
    DRIFT_CONFIG,
    read_backup_config,
    read_config,
    tell,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one job."""
    parser = argparse.ArgumentParser(prog="dbops-postgres", description="Backups that are proven.")
    parser.add_argument("--config", default=CONFIG, help=f"of drills and restores, by default {CONFIG}")
    parser.add_argument("--backup-config", default=BACKUP_CONFIG, help=f"of backups, by default {BACKUP_CONFIG}")
    parser.add_argument("--drift-config", default=DRIFT_CONFIG, help=f"of comparisons, by default {DRIFT_CONFIG}")
    jobs = parser.add_subparsers(dest="job", required=True, metavar="JOB")

    saving = jobs.add_parser("backup", help="make a set of backups, prove it at each target, prune")
    saving.add_argument("--label", default="manual", help="the end of its name, by default manual")
    saving.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="for a run that is under way")

    pruning = jobs.add_parser("prune", help="remove the sets that are no longer kept")
    pruning.add_argument("--dry-run", action="store_true", help="only say what would go, and why the others stay")
    pruning.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="for a run that is under way")

    showing = jobs.add_parser("status", help="what is at each target, looked at there")
    showing.add_argument("--json", action="store_true", help="for programs")

    drilling = jobs.add_parser("drill", help="restore a set into a throwaway cluster, and prove all of it")
    drilling.add_argument("--set", default="", help="a named set; by default the newest complete one")
    drilling.add_argument("--identity", default="", help="file with the age identity; by default the unit's credential")

    restoring = jobs.add_parser("restore", help="restore a database beside the live one, or in its place")
    restoring.add_argument("--database", required=True, help="the database of the set")
    restoring.add_argument("--set", default="", help="a named set; by default the newest complete one")
    restoring.add_argument("--into", default="", help="name of the new database")
    restoring.add_argument("--table", action="append", default=[], help="schema.table or a pattern; may be repeated")
    restoring.add_argument("--in-place", action="store_true", help="take the live database's place when it is proven")
    restoring.add_argument("--confirm", default="", metavar="DATABASE", help="the live database's name once more")
    restoring.add_argument("--identity", default="", help="file with the age identity")
    restoring.add_argument("--plan", action="store_true", help="only say what would be done")
    restoring.add_argument("--socket", default="/var/run/postgresql", help="directory of the server's socket")
    restoring.add_argument("--port", type=int, default=5432)

    drifting = jobs.add_parser("drift", help="compare live schemas with their committed snapshots")
    drifting.add_argument("--database", action="append", default=[], help="of those configured; may be repeated")
    drifting.add_argument("--sql", action="store_true", help="print what would bring them back; nothing is run")
    drifting.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="for a run that is under way")

    checking = jobs.add_parser("check", help="read a configuration, and say what cannot be meant")
    checking.add_argument("--of", choices=["drill", "backup", "drift"], default="drill", help="which, by default drill")

    given = parser.parse_args(arguments)
    # systemd stops a unit by SIGTERM, a person by Ctrl-C, a connection that breaks by SIGHUP: what a job has begun is
    # taken down again as by any other error.
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup(1)
            signal.signal(number, _stopped)
    try:
        return _run(given)
    except DbopsError as error:
        tell(f"dbops-postgres {given.job}: {error}")
    except Exception as error:
        tell(f"dbops-postgres {given.job}: {faults.told(error, tell)}")
    return drift.ERROR if given.job == "drift" else 2


def _run(given: Any) -> int:
    if given.job == "check":
        if given.of == "backup":
            read_backup_config(given.backup_config)
        elif given.of == "drift":
            drift.read_drift_config(given.drift_config)
        else:
            read_config(given.config)
        return 0
    jobs = {"backup": backup, "drift": drift, "drill": drill, "prune": prune, "restore": restore, "status": status}
    return int(jobs[given.job].run(given))


def _stopped(number: int, _frame: object) -> NoReturn:
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)  # a second one must not end the taking down
    tell(f"Interrupted by {signal.Signals(number).name}: what was begun is taken down.")
    raise SystemExit(2)


if __name__ == "__main__":
    raise SystemExit(main())
