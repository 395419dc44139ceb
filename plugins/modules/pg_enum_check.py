#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_enum_check
short_description: Are ENUM types those of a list of static states?
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - A value cannot be taken out of an ENUM, renamed for one customer, described or switched off. So ENUMs are for states
    that never change, which are listed; others are findings, with the columns that use them and the command that writes
    the migrations to a lookup table.
  - It reads the catalog with one query. ENUMs of extensions are left out. Control E-6.
options:
  allowed:
    description: Names or shell patterns of ENUM types that may be there, with or without their schema.
    type: list
    elements: str
    default: []
  fail_on:
    description: The task fails when a finding of at least this severity failed. All findings here are high.
    type: str
    choices: [never, critical, high, medium]
    default: high
  junit:
    description: File that gets the findings as JUnit XML.
    type: path
  evidence:
    description: Whether the result is left on this host for the readiness report.
    type: bool
    default: false
extends_documentation_fragment:
  - dbops.postgres.login
  - dbops.postgres.attributes
  - dbops.postgres.attributes.action_group
attributes:
  check_mode:
    support: full
    details:
      - No report and no evidence is written.
  diff_mode:
    support: N/A
    details:
      - It changes nothing but its report.
  idempotent:
    support: full
seealso:
  - module: dbops.postgres.pg_enum_to_lookup
"""

EXAMPLES = r"""
- name: ENUMs are static states
  dbops.postgres.pg_enum_check:
    login_db: payments_db
    allowed: [weekday, public.card_network]
    evidence: true
  become: true
"""

RETURN = r"""
findings:
  description: A finding for each ENUM type.
  returned: when the database could be looked at
  type: list
  elements: dict
passed:
  description: Whether all ENUMs are on the list.
  returned: when the database could be looked at
  type: bool
summary:
  description: How many findings there are of each status.
  returned: when the database could be looked at
  type: dict
unused:
  description: Entries of O(allowed) that no type matches.
  returned: when the database could be looked at
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._checked import finish, unseen
from ansible_collections.dbops.postgres.plugins.module_utils._enums.judge import CONTROL, judge, unused
from ansible_collections.dbops.postgres.plugins.module_utils._enums.observe import enums
from ansible_collections.dbops.postgres.plugins.module_utils._findings import FAIL_ON, Control, Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import (
    LOGIN_ARGUMENTS,
    connect,
    login_from,
    reported,
)

CHECK = "pg_enum_check"
ARGUMENTS = {
    **LOGIN_ARGUMENTS,
    "allowed": {"type": "list", "elements": "str", "default": []},
    "fail_on": {"type": "str", "choices": list(FAIL_ON), "default": "high"},
    "junit": {"type": "path"},
    "evidence": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    given = module.params
    login = login_from(given)
    try:
        connection = connect(login)
        try:
            connection.set_session(readonly=True)
            with reported("The ENUM types cannot be read", "Run it again."), connection.cursor() as cursor:
                cursor.execute("SELECT pg_catalog.set_config('statement_timeout', '30s', false)")
                types = enums(cursor)
        finally:
            connection.close()
    except DbopsError as error:
        unseen(module, CHECK, login.database, [CONTROL], error)
    findings = judge(types, given["allowed"], login.database)
    bad = [finding.subject for finding in findings if finding.status is Status.FAIL]
    finish(
        module,
        CHECK,
        login.database,
        [Control(CONTROL, "Evolving value sets", Severity.HIGH)],
        findings,
        said=f"not static states: {', '.join(bad)}" if bad else f"{len(types)} ENUM types, all on the list",
        facts={"types": len(types), "not_allowed": bad, "allowed": given["allowed"]},
        unused=unused(types, given["allowed"]),
    )


if __name__ == "__main__":
    main()
