#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_backup
short_description: Make a set of backups now
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Makes a set as the timer of the role C(dbops.postgres.backup) does, with the same configuration and the same
    proof, for example before a change.
  - Fails unless the set is complete at every target.
  - Runs as root on the host of PostgreSQL, on which the role was run before.
requirements:
  - psycopg2 and, for buckets, boto3 on the host
options:
  label:
    description: The end of the set's name. Lower-case letters, digits and C(-).
    type: str
    default: manual
  wait:
    description: Seconds to wait for a run that is under way.
    type: float
    default: 3600
  config:
    description: The configuration that the role has written.
    type: path
    default: /etc/dbops-postgres/backup.json
attributes:
  check_mode:
    support: full
    details:
      - Reads the configuration, and makes nothing.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Every run makes a set.
extends_documentation_fragment:
  - dbops.postgres.attributes
seealso:
  - module: dbops.postgres.pg_backup_info
  - module: dbops.postgres.pg_restore_drill
"""

EXAMPLES = r"""
- name: Save everything before a change
  dbops.postgres.pg_backup:
    label: before-release-42
"""

RETURN = r"""
set:
  description: Name of the set.
  returned: when it was made
  type: str
  sample: 20261124T010000Z-before-release-42
targets:
  description: Where it is complete.
  returned: when it was made
  type: list
  elements: str
  sample: [s3://backups/db1]
stored_bytes:
  description: Its size.
  returned: when it was made
  type: int
  sample: 47151757
seconds:
  description: How long it took.
  returned: when it was made
  type: float
  sample: 3.1
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._host_program.backup import hold
from ansible_collections.dbops.postgres.plugins.module_utils._host_program.config import (
    BACKUP_CONFIG,
    read_backup_config,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "label": {"type": "str", "default": "manual"},
            "wait": {"type": "float", "default": 3600},
            "config": {"type": "path", "default": BACKUP_CONFIG},
        },
        supports_check_mode=True,
    )
    try:
        config = read_backup_config(module.params["config"])
        if module.check_mode:
            module.exit_json(changed=True)
        done, problem = hold(config, module.params["label"], module.params["wait"])
    except DbopsError as error:
        module.fail_json(msg=str(error))
    facts = {}
    if done:
        facts = {
            "set": done.manifest.id,
            "targets": list(done.targets),
            "stored_bytes": done.manifest.stored_bytes,
            "seconds": done.seconds,
        }
    if problem:
        module.fail_json(msg=problem, **facts)
    module.exit_json(changed=True, **facts)


if __name__ == "__main__":
    main()
