#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pgbouncer_pause
short_description: Let the clients of a pooler wait, and go on
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - V(paused) ends when every running transaction of the databases has ended and their server connections are
    closed. Clients that send something meanwhile wait. If transactions take longer than O(timeout), everything is
    resumed and the task fails.
  - Clients wait for C(query_wait_timeout) at most, 30 seconds in this collection.
  - Runs as root on the pooler's host. The playbook C(dbops.postgres.pool_pause) puts a restart of PostgreSQL
    between the two.
options:
  state:
    description: What the databases are to be.
    type: str
    choices: [paused, resumed]
    required: true
  databases:
    description: Pooled databases. None means all.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds that running transactions have to end.
    type: float
    default: 20
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
extends_documentation_fragment:
  - dbops.postgres.attributes
"""

EXAMPLES = r"""
- name: Let the clients wait
  dbops.postgres.pgbouncer_pause:
    state: paused
    timeout: 10

- name: Let them go on
  dbops.postgres.pgbouncer_pause:
    state: resumed
"""

RETURN = r"""
databases:
  description: The databases whose state was changed.
  returned: success
  type: list
  elements: str
  sample: [payments_db]
"""

from typing import TYPE_CHECKING

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.pause import look, pause, resume

if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["paused", "resumed"], "required": True},
            "databases": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "float", "default": 20},
        },
        supports_check_mode=True,
    )

    def run(arguments: Sequence[str]) -> tuple[int, str, str]:
        status, out, err = module.run_command(list(arguments), cwd="/")
        return int(status), str(out), str(err)

    state = module.params["state"]
    silent: list[str] = []  # one process that does not answer must not keep the clients of the others waiting
    try:
        databases = look(run, state, module.params["databases"], silent if state == "resumed" else None)
        if state == "resumed" and not module.check_mode:
            resume(run, databases, silent)
        elif databases and not module.check_mode:
            pause(run, databases, module.params["timeout"])
    except DbopsError as error:
        module.fail_json(msg=str(error))
    names = sorted({name for found in databases.values() for name in found})
    module.exit_json(changed=bool(names), databases=names)


if __name__ == "__main__":
    main()
