#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_index_check
short_description: Prove that required indexes are there, and find those that only cost
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Judges the indexes of a database against controls P-4 and P-2, in one read-only transaction and with a constant
    number of queries.
  - Required indexes (section C(indexes) of the spec file) are compared by definition, never by name. One that does the
    same work satisfies.
  - Finds invalid, duplicate, redundant, unused, hardly selective and bloated indexes, foreign keys without an index,
    large tables that are often read from the beginning, and JSONB columns that are searched without a GIN index.
  - Each finding has the statement that mends it, with C(CONCURRENTLY) wherever PostgreSQL has it.
  - An index is called unused only when the statistics of all servers are old enough and every standby is given. A
    unique index, one of a constraint, one that a foreign key needs and one that the spec file requires never is.
extends_documentation_fragment:
  - dbops.postgres.attributes
  - dbops.postgres.attributes.action_group
  - dbops.postgres.login
  - dbops.postgres.assurance
attributes:
  check_mode:
    support: full
    details:
      - The same as the real run, except that O(junit) and the record of O(evidence) are not written.
  diff_mode:
    support: none
    details:
      - There is nothing to show.
  idempotent:
    support: full
    details:
      - Nothing changes, except the file O(junit) and the record of O(evidence).
options:
  replicas:
    description:
      - The standby servers, whose index scans are added. User, password, database and TLS are those of the other login
        options unless given here.
    type: list
    elements: dict
    default: []
    suboptions:
      login_host:
        description: Host name or address of the standby.
        type: str
        required: true
      login_port:
        description: Its port.
        type: int
        default: 5432
      login_user:
        description: Role to connect as.
        type: str
      login_password:
        description: Its password.
        type: str
seealso:
  - module: dbops.postgres.pg_index
  - module: dbops.postgres.pg_plan_check
notes:
  - Expressions and predicates of required indexes that no index has in the same words are compared by building them on
    an empty temporary copy of the table, in a transaction that is rolled back. This needs the primary and the privilege
    C(TEMPORARY).
  - Bloat is an estimate for btree indexes on columns, from the widths in pg_stats.
"""

EXAMPLES = r"""
- name: Prove the indexes of the notes application, on the primary and with what its replica reads
  dbops.postgres.pg_index_check:
    login_host: db1.example.com
    login_user: auditor
    login_password: "{{ vault_auditor_password }}"
    login_db: asidenote
    replicas:
      - {login_host: db2.example.com}
    spec:
      indexes:
        required:
          - {table: public.Users, columns: [Email], unique: true}
          - {table: public.Notes, columns: [UserId]}
          - {table: public.ExternalLogins, columns: [Provider, ProviderUserId], unique: true}
  delegate_to: localhost

- name: In CI, right after the migrations
  dbops.postgres.pg_index_check:
    login_db: payments_db
    spec_file: /srv/payments/database.yml
    fail_on: medium
    junit: /tmp/indexes.xml
"""

RETURN = r"""
findings:
  description: What was found, the worst first; C(title) is the rule, C(subject) the index or table.
  returned: when the database could be looked at
  type: list
  elements: dict
  sample:
    - control: P-4
      subject: 'public.refunds: refunds_payment_id_fkey'
      severity: high
      status: fail
      evidence: >-
        No index begins with payment_id: each DELETE in public.payments, and each UPDATE of the key there, reads all of
        public.refunds (about 120,000 rows).
      remedy: CREATE INDEX CONCURRENTLY "refunds_payment_id_idx" ON "public"."refunds" USING btree ("payment_id");
      benchmarks: []
      title: foreign key without index
      host: ''
      waiver: ''
      expires: ''
passed:
  description: Whether everything was looked at and holds or does not apply.
  returned: when the database could be looked at
  type: bool
  sample: false
summary:
  description: How many findings there are of each status.
  returned: when the database could be looked at
  type: dict
  sample: {fail: 1, error: 0, not_tested: 1, waived: 0, pass: 8, not_applicable: 1}
"""

from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._checked import finish
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.judge import judge
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.normal import normalise
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.observe import observe
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.report import CONTROLS
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.spec import parse
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import LOGIN_ARGUMENTS, login_from
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import (
    SPEC_ARGUMENTS,
    SPEC_EXCLUSIVE,
    SpecError,
    database,
    given,
)

ARGUMENTS = {
    **LOGIN_ARGUMENTS,
    **SPEC_ARGUMENTS,
    "replicas": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "login_host": {"type": "str", "required": True},
            "login_port": {"type": "int", "default": 5432},
            "login_user": {"type": "str"},
            "login_password": {"type": "str", "no_log": True},
        },
    },
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, mutually_exclusive=SPEC_EXCLUSIVE, supports_check_mode=True)
    params = module.params
    login = login_from(params)
    replicas = [
        replace(
            login,
            host=item["login_host"],
            port=item["login_port"],
            user=item["login_user"] or login.user,
            password=item["login_password"] or login.password,
        )
        for item in params["replicas"]
    ]
    try:
        file = given(params)
        name = database(params, file)
        try:
            spec = parse(file.section("indexes"))
        except SpecError as error:
            raise file.located(error) from None
        seen = observe(login, name, params["schemas"], replicas)
        findings = judge(seen, spec, normalise(login, name, seen, spec.required))
    except DbopsError as error:
        module.fail_json(msg=str(error))
    finish(module, "pg_index_check", name, CONTROLS, findings)


if __name__ == "__main__":
    main()
