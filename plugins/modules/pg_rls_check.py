#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_rls_check
short_description: Prove that no tenant reaches the rows of another
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Judges the row-level security of a database by rules that need the catalog only, such as tables without it, policies
    that are always true, roles that pass by, views that read as their owner.
  - Tries, for every declared identity (a role and its settings), every table and every command, whether rows of others
    can be seen, changed, deleted, put in, or given away. Positive controls show that its own rows are reached; where
    they fail the result is C(error), because a refusal then proves nothing.
  - Everything that is tried is rolled back. Triggers and foreign keys do not fire meanwhile, and no sequence is
    touched.
  - Compares what every identity reaches with a committed snapshot. A widening fails, a narrowing is told.
  - Answers control T-1. The guide C(docs/rls.md) describes the section C(rls) of the spec file.
extends_documentation_fragment:
  - dbops.postgres.attributes
  - dbops.postgres.attributes.action_group
  - dbops.postgres.login
  - dbops.postgres.assurance
attributes:
  check_mode:
    support: full
    details:
      - The same as the real run, except that no file is written.
  diff_mode:
    support: none
    details:
      - There is nothing to show.
  idempotent:
    support: full
    details:
      - Nothing changes, except the files O(junit) and O(snapshot), and the record of O(evidence).
options:
  snapshot:
    description:
      - File with the matrix as it is meant to be, on the host that runs the module. Keep it with the application.
    type: path
  write_snapshot:
    description:
      - Write O(snapshot) anew instead of comparing with it. Refused when an attempt proved nothing.
    type: bool
    default: false
  mutate:
    description:
      - Drop or loosen each policy in turn, in a savepoint, and require that the check notices. The score is returned.
      - It takes exclusive locks. Only for a database that nobody else uses, named in O(throwaway_database), and never
        on a server that says that it is production.
    type: bool
    default: false
  throwaway_database:
    description: The name of the database, as a confirmation that O(mutate=true) may change its policies.
    type: str
    default: ''
  i_know_this_is_production:
    description:
      - On a server whose C(cluster_name) says that it is production, the attempts are left out, unless this says
        V(try the policies on the production server).
      - They lock one row for a moment, with a lock timeout of half a second, and are rolled back.
    type: str
    default: ''
  pooled:
    description:
      - A pool in transaction mode (pgbouncer) before the same database. Proves that a tenant set by one client does not
        reach the next client on the same connection to the server.
      - User, password and TLS are those of the login.
    type: dict
    suboptions:
      host:
        description: Host name or address of the pool. Empty means the local UNIX socket.
        type: str
        default: ''
      unix_socket:
        description: Directory of the UNIX socket.
        type: str
        default: ''
      port:
        description: Port of the pool.
        type: int
        default: 6432
notes:
  - The attempts need a superuser; or a role with BYPASSRLS that may write the tables, C(SET ROLE) to the identities and
    set C(session_replication_role). The rules need any role that can connect.
"""

EXAMPLES = r"""
- name: Judge by the catalog alone
  dbops.postgres.pg_rls_check:
    login_db: aria_db
  become: true

- name: Prove it in CI on the migrated throwaway database
  dbops.postgres.pg_rls_check:
    login_host: "{{ database_host }}"
    login_password: "{{ database_password }}"
    spec_file: db/aria.yml
    snapshot: db/aria.access.json
    mutate: true
    throwaway_database: aria_db
    junit: build/rls.xml
  delegate_to: localhost

- name: Write the snapshot anew after a change that is meant
  dbops.postgres.pg_rls_check:
    login_host: "{{ database_host }}"
    login_password: "{{ database_password }}"
    spec_file: db/aria.yml
    snapshot: db/aria.access.json
    write_snapshot: true
  delegate_to: localhost

- name: Also through the pooler, and leave a record for the readiness report
  dbops.postgres.pg_rls_check:
    login_db: aria_db
    spec:
      rls:
        tenant_column: practice_id
        identities:
          - name: harbour
            role: aria_app
            settings: {app.tenant_id: 11111111-1111-4111-8111-111111111111}
            sees: {"*": "practice_id = '11111111-1111-4111-8111-111111111111'"}
    pooled: {host: 127.0.0.1, port: 6432}
    evidence: true
  become: true
"""

RETURN = r"""
findings:
  description: What was found, a finding for each rule that holds, each subject that breaks one, and each identity.
  returned: success or failure by O(fail_on)
  type: list
  elements: dict
  sample:
    - control: T-1
      subject: 'harbour: DELETE aria.patients'
      severity: critical
      status: fail
      evidence: 'harbour can delete rows of others in aria.patients: a row of others was deleted'
      remedy: Look at the policies for DELETE on aria.patients; if it is meant so, declare it in the spec file.
      benchmarks: []
      title: ''
      host: ''
      waiver: ''
      expires: ''
passed:
  description: Whether everything was looked at and holds, is waived or does not apply.
  returned: success or failure by O(fail_on)
  type: bool
  sample: true
summary:
  description: How many findings there are of each status.
  returned: success or failure by O(fail_on)
  type: dict
  sample: {fail: 0, error: 0, not_tested: 0, waived: 1, pass: 30, not_applicable: 0}
database:
  description: The database.
  returned: success or failure by O(fail_on)
  type: str
  sample: aria_db
matrix:
  description:
    - How far each identity comes in each table with each command, V(no privilege), V(none), V(own), V(foreign), or
      V(unknown) where the attempt proved nothing. Empty if no attempt was made.
  returned: success or failure by O(fail_on)
  type: dict
  sample:
    harbour: {aria.patients: {SELECT: own, INSERT: own, UPDATE: own, DELETE: none}}
narrowed:
  description: What is reached less than in the snapshot.
  returned: success or failure by O(fail_on)
  type: list
  elements: str
  sample: ['harbour: DELETE aria.patients: own -> none']
score:
  description:
    - How many of the C(mutations) were C(noticed), by the rules and by what identities can do, and which were not.
  returned: when O(mutate=true)
  type: dict
  sample: {mutations: 29, noticed: 29, percent: 100.0, by_rules: 29, by_matrix: 20, survivors: [], not_by_matrix: []}
"""

from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils import _specfile
from ansible_collections.dbops.postgres.plugins.module_utils._checked import finish
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import LOGIN_ARGUMENTS, connect, login_from
from ansible_collections.dbops.postgres.plugins.module_utils._rls import cells, check, snapshot, spec

ARGUMENTS = {
    **LOGIN_ARGUMENTS,
    **_specfile.SPEC_ARGUMENTS,
    "snapshot": {"type": "path"},
    "write_snapshot": {"type": "bool", "default": False},
    "mutate": {"type": "bool", "default": False},
    "throwaway_database": {"type": "str", "default": ""},
    "i_know_this_is_production": {"type": "str", "default": ""},
    "pooled": {
        "type": "dict",
        "options": {
            "host": {"type": "str", "default": ""},
            "unix_socket": {"type": "str", "default": ""},
            "port": {"type": "int", "default": 6432},
        },
    },
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS, mutually_exclusive=_specfile.SPEC_EXCLUSIVE, supports_check_mode=True
    )
    params = module.params
    files = {}
    try:
        outcome = _run(module)
        if params["write_snapshot"]:
            files[params["snapshot"]] = snapshot.dump(cells.complete(outcome.matrix))
    except DbopsError as error:
        module.fail_json(msg=str(error))
    more: dict[str, Any] = {
        "database": outcome.database,
        "matrix": outcome.matrix,
        "narrowed": outcome.narrowed,
        **({"score": outcome.score.as_dict()} if outcome.score else {}),
    }
    finish(
        module,
        "pg_rls_check",
        outcome.database,
        cells.CONTROLS,
        outcome.findings,
        files=files,
        **more,
    )


def _run(module: AnsibleModule) -> check.Outcome:
    params = module.params
    given = _specfile.given(params)
    path, anew = params["snapshot"], params["write_snapshot"]
    if anew and not path:
        raise DbopsError("write_snapshot needs a file", "Say snapshot: FILE.")
    login = replace(login_from(params), database=_specfile.database(params, given))
    pool = params["pooled"]
    options = check.Options(
        schemas=tuple(params["schemas"]),
        production=params["i_know_this_is_production"],
        mutate=params["mutate"],
        throwaway=params["throwaway_database"],
        before=None if not path or anew else snapshot.load(_text(path), path),
        pool=replace(login, host=pool["host"], unix_socket=pool["unix_socket"], port=pool["port"]) if pool else None,
    )
    try:
        section = spec.parse(given.section("rls"))
        connection = connect(login)
        try:
            return check.check(connection, section, options)
        finally:
            connection.close()
    except _specfile.SpecError as error:
        raise given.located(error) from None


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise DbopsError(
            f"The snapshot {path} cannot be read: {error}", "Write the first one with write_snapshot: true."
        ) from None


if __name__ == "__main__":
    main()
