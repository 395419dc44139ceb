#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_backup_info
short_description: What sets of backups there are, looked at where they lie
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Lists the sets at each target of the role C(dbops.postgres.backup), complete or not, and which of them a drill on
    this host has proven. The objects of the newest complete set are compared with its manifest.
  - Runs as root on the host of PostgreSQL.
requirements:
  - boto3 on the host, for buckets
options:
  config:
    description: The configuration that the role has written.
    type: path
    default: /etc/dbops-postgres/backup.json
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
- name: Look at the backups
  dbops.postgres.pg_backup_info:
  register: backups

- name: Nothing may be wrong with the newest
  ansible.builtin.assert:
    that: backups.targets | map(attribute='problem') | select | length == 0
"""

RETURN = r"""
targets:
  description: What is at each target.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The target.
      type: str
    off_host:
      description: Whether it outlives the host.
      type: bool
    problem:
      description: What is wrong with the target or its newest set; empty for nothing.
      type: str
    sets:
      description: The sets, the newest first, with C(id), C(complete), C(age_seconds) and C(verified).
      type: list
      elements: dict
    newest:
      description: The newest complete set, with C(id), C(age_seconds), C(bytes), C(level), C(encrypted), C(databases).
      type: dict
  sample:
    - name: s3://backups/db1
      off_host: true
      problem: ""
      sets: [{id: 20261124T010000Z-nightly, complete: true, age_seconds: 3600.0, verified: true}]
      newest:
        id: 20261124T010000Z-nightly
        age_seconds: 3600.0
        bytes: 47151757
        level: hashes
        encrypted: true
        databases: [payments_db]
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._host_program.config import (
    BACKUP_CONFIG,
    read_backup_config,
)
from ansible_collections.dbops.postgres.plugins.module_utils._host_program.status import status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError


def main() -> None:
    module = AnsibleModule({"config": {"type": "path", "default": BACKUP_CONFIG}}, supports_check_mode=True)
    try:
        found = status(read_backup_config(module.params["config"]), time.time())
    except DbopsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, targets=found["targets"])


if __name__ == "__main__":
    main()
