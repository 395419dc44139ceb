#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pgbouncer_info
short_description: What the pools are doing now
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - For each pool its budget, what of it is in use, how many clients wait and for how long. From the running
    pooler's console; several processes on one port are added up.
  - Runs as root on the pooler's host. The playbook C(dbops.postgres.pool_status) prints the table.
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
  idempotent:
    support: full
extends_documentation_fragment:
  - dbops.postgres.attributes
  - dbops.postgres.attributes.info
"""

EXAMPLES = r"""
- name: Look at the pools
  dbops.postgres.pgbouncer_info:
  register: pools
"""

RETURN = r"""
pools:
  description: One item a pool.
  returned: success
  type: list
  elements: dict
  sample:
    - database: payments_db
      user: payments_prod_app
      budget: 10
      in_use: 4
      idle: 2
      clients: 4
      waiting: 0
      longest_wait: 0.0
      paused: false
table:
  description: The same as text, a line a pool.
  returned: success
  type: list
  elements: str
  sample: ["database     user               budget  in use  idle  clients  waiting  longest wait"]
"""

from dataclasses import asdict
from typing import TYPE_CHECKING

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.observe import ask, place, running
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.status import PoolState, states, table, together

if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)

    def run(arguments: Sequence[str]) -> tuple[int, str, str]:
        status, out, err = module.run_command(list(arguments), cwd="/")
        return int(status), str(out), str(err)

    try:
        found: list[PoolState] = []
        for number in running(run) or [1]:
            with ask(place(run, number)) as questions:
                users = [row["value"] for row in questions("SHOW CONFIG") if row["key"] == "auth_user"]
                found += states(questions("SHOW POOLS"), questions("SHOW DATABASES"), users[0] if users else "")
        rows = together(found)
    except DbopsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, pools=[asdict(row) for row in rows], table=table(rows).splitlines())


if __name__ == "__main__":
    main()
