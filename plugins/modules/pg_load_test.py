#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_load_test
short_description: Load a server through its pool and judge what it does
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Runs pgbench on the host of the task, with scripts of your own, for a bounded time, and judges errors, the 95th
    percentile of the latency and the rate. It writes nothing but what the scripts write, and leaves nothing behind
    on the host.
  - A server that says in C(cluster_name) that it is production is refused, unless O(allow_production) has the words.
  - The password travels in a file of mode 0600 that is removed afterwards.
  - The task does not fail when a criterion is missed; RV(passed) says so. The playbook C(dbops.postgres.load_test)
    fails.
requirements:
  - pgbench and psycopg2 on the host
options:
  host:
    description: Address of the pool, or of the server.
    type: str
    required: true
  port:
    description: Its port.
    type: int
    default: 6432
  database:
    description: Database to connect to.
    type: str
    required: true
  user:
    description: Login.
    type: str
    required: true
  password:
    description: Its password.
    type: str
    required: true
  ssl_mode:
    description: How much is asked of the certificate.
    type: str
    choices: [disable, prefer, require, verify-ca, verify-full]
    default: verify-full
  ca_cert:
    description: Authority of the certificate, a file on the host.
    type: path
  clients:
    description: Concurrent clients.
    type: int
    default: 100
  jobs:
    description: Threads of pgbench.
    type: int
    default: 2
  seconds:
    description: How long it runs, at most an hour.
    type: int
    default: 60
  rate:
    description: Transactions that are started each second. 0 means as many as possible.
    type: float
    default: 0
  scripts:
    description: What a transaction is, in the language of pgbench.
    type: list
    elements: dict
    required: true
    suboptions:
      text:
        description: The script.
        type: str
        required: true
      weight:
        description: How often it is chosen, relative to the others.
        type: int
        default: 1
  max_p95_ms:
    description: The 95th percentile of the latency that is allowed, in milliseconds. 0 means any.
    type: float
    default: 0
  min_requests_per_second:
    description: Transactions that are wanted each second. 0 means any number.
    type: float
    default: 0
  allow_production:
    description: The words V(load the production server), if that is what you want.
    type: str
attributes:
  check_mode:
    support: full
    details:
      - Parameters are judged, and nothing is run.
  diff_mode:
    support: none
  idempotent:
    support: none
extends_documentation_fragment:
  - dbops.postgres.attributes
"""

EXAMPLES = r"""
- name: A minute of load
  dbops.postgres.pg_load_test:
    host: db1.example.internal
    database: payments_db
    user: payments_stage_app
    password: "{{ vault_access_passwords.payments_stage_app }}"
    ca_cert: /etc/ssl/dbops-ca.crt
    clients: 100
    scripts:
      - text: |
          \\set user random(1, 5000)
          SELECT * FROM payments WHERE user_id = :user;
    min_requests_per_second: 1000
    max_p95_ms: 100
"""

RETURN = r"""
passed:
  description: Whether every criterion holds.
  returned: success, not in check mode
  type: bool
problems:
  description: What the criteria miss.
  returned: success, not in check mode
  type: list
  elements: str
  sample: ["p95 is 140.2 ms, 100 ms allowed"]
record:
  description: Figures of the run and of each of its seconds.
  returned: success, not in check mode
  type: dict
  sample: {"transactions": 61000, "errors": 0, "requests_per_second": 1016.7, "p95_ms": 81.3}
picture:
  description: The record as SVG.
  returned: success, not in check mode
  type: str
  sample: <svg ...>
"""

import datetime

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._load.picture import svg
from ansible_collections.dbops.postgres.plugins.module_utils._load.run import run
from ansible_collections.dbops.postgres.plugins.module_utils._load.spec import parse
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

ARGUMENTS = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": 6432},
    "database": {"type": "str", "required": True},
    "user": {"type": "str", "required": True},
    "password": {"type": "str", "required": True, "no_log": True},
    "ssl_mode": {
        "type": "str",
        "choices": ["disable", "prefer", "require", "verify-ca", "verify-full"],
        "default": "verify-full",
    },
    "ca_cert": {"type": "path"},
    "clients": {"type": "int", "default": 100},
    "jobs": {"type": "int", "default": 2},
    "seconds": {"type": "int", "default": 60},
    "rate": {"type": "float", "default": 0},
    "scripts": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {"text": {"type": "str", "required": True}, "weight": {"type": "int", "default": 1}},
    },
    "max_p95_ms": {"type": "float", "default": 0},
    "min_requests_per_second": {"type": "float", "default": 0},
    "allow_production": {"type": "str"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        spec = parse(module.params)
        if module.check_mode:
            module.exit_json(changed=True)
        result = run(spec, module.params["password"])
    except DbopsError as error:
        module.fail_json(msg=str(error))
    record = result.as_dict(spec, datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"))
    module.exit_json(
        changed=True, passed=result.passed, problems=list(result.problems), record=record, picture=svg(record)
    )


if __name__ == "__main__":
    main()
