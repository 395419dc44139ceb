# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job ``restore``: say what will be done, do it, say where it is."""

from __future__ import annotations

from functools import partial
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_set import BackupError
from ansible_collections.dbops.postgres.plugins.module_utils._backup.receipt import duration
from ansible_collections.dbops.postgres.plugins.module_utils._backup.restore import Restore
from ansible_collections.dbops.postgres.plugins.module_utils._backup.restore_plan import RestoreSpec
from ansible_collections.dbops.postgres.plugins.module_utils._host_program.config import identity, read_config, tell
from ansible_collections.dbops.postgres.plugins.module_utils._host_program.pooled import clients_wait
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login


def run(given: Any) -> int:
    """Restore; the exit status."""
    config = read_config(given.config)
    spec = RestoreSpec(
        given.database,
        set=given.set,
        into=given.into,
        in_place=given.in_place,
        confirm=given.confirm,
        tables=tuple(given.table),
    )
    login = Login(unix_socket=given.socket, port=given.port)
    with identity(given.identity) as key:
        job = Restore(spec, config.target, login, config.drill.scratch, jobs=config.drill.jobs, identity=key, tell=tell)
        job.holding = partial(clients_wait, spec.database, login.port, tell)
        try:
            if given.plan:
                for number, line in enumerate(job.plan().steps, 1):
                    tell(f"{number}. {line}")
                tell("Nothing was changed. Without --plan this is done.")
                return 0
            done = job.run()
        except BackupError as error:
            for problem in error.problems:
                tell(problem)
            tell(f"Not restored. {error.remedy}".strip())
            return 1
    where = done.database if done.names.kept else done.names.new
    tell(f"Restored in {duration(done.seconds)}: {done.rows} rows in {done.tables} tables are in database {where}.")
    return 0
