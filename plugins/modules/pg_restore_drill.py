#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore_drill
short_description: Prove a set of backups by restoring all of it into a throwaway cluster
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Holds a drill as the timer of the role C(dbops.postgres.restore_drill) does, with the same configuration. The set is
    fetched, its checksums are compared, it is decrypted, restored into a cluster that is made for it and removed
    afterwards, and every table is compared with the manifest.
  - Fails unless all of it is as it was dumped.
  - Runs as root on the drill host, on which the role was run before.
requirements:
  - psycopg2 and, for buckets, boto3 on the host
options:
  set:
    description: Name of the set. By default the newest complete one.
    type: str
    default: ""
  config:
    description: The configuration that the role has written.
    type: path
    default: /etc/dbops-postgres/drill.json
attributes:
  check_mode:
    support: full
    details:
      - Reads the configuration, and holds no drill.
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - Leaves a receipt, and nothing else.
extends_documentation_fragment:
  - dbops.postgres.attributes
seealso:
  - module: dbops.postgres.pg_backup
"""

EXAMPLES = r"""
- name: Prove the newest backup
  dbops.postgres.pg_restore_drill:
  register: drill

- name: How long a restore takes
  ansible.builtin.debug:
    var: drill.receipt.rto_seconds
"""

RETURN = r"""
passed:
  description: Whether the backup was restored and proven.
  returned: when a drill was held
  type: bool
  sample: true
receipt:
  description: Every step with its time and what did not hold; C(rto_seconds), C(rpo_seconds), the databases.
  returned: when a drill was held
  type: dict
  sample: {set: 20261124T010000Z-nightly, verdict: passed, rto_seconds: 21.4, rpo_seconds: 3600.0}
path:
  description: The receipt on the host.
  returned: when a drill was held
  type: str
  sample: /var/lib/dbops-postgres/drills/20261124T040000Z-0a1b2c3d4e5f.json
"""

import json

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._backup.receipt import to_json
from ansible_collections.dbops.postgres.plugins.module_utils._host_program.config import CONFIG, read_config
from ansible_collections.dbops.postgres.plugins.module_utils._host_program.drill import hold
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError


def main() -> None:
    module = AnsibleModule(
        argument_spec={"set": {"type": "str", "default": ""}, "config": {"type": "path", "default": CONFIG}},
        supports_check_mode=True,
    )
    try:
        config = read_config(module.params["config"])
        if module.check_mode:
            module.exit_json(changed=False)
        receipt, path = hold(config, module.params["set"])
    except DbopsError as error:
        module.fail_json(msg=str(error))
    facts = {"passed": receipt.passed, "receipt": json.loads(to_json(receipt)), "path": path}
    if not receipt.passed:
        module.fail_json(msg=f"{receipt.summary}. The receipt is {path}.", **facts)
    module.exit_json(changed=False, **facts)


if __name__ == "__main__":
    main()
