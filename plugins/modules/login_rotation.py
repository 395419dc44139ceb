#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: login_rotation
short_description: Replace the password of a service without a failed query
version_added: 0.1.0
author: the dbops.postgres authors (@dbops)
description:
  - A service has two logins, C(<role>_a) and C(<role>_b), members of the role that has its rights. One is in use. The
    other gets a new password, its connection URL is published and delivered, and when the consumers were seen to use
    it, the first one is closed after a grace period. The password in use is never changed.
  - This module does the part on the server, one step per call. The role P(dbops.postgres.secrets#role) and the playbook
    C(dbops.postgres.rotate_secrets) put the steps together.
  - The server receives a SCRAM verifier, never a password. The statement that carries it stays out of the server's log
    and of pg_stat_statements when the connected role is a superuser.
  - What was done is read from the server, from the source and from a record without secrets on the host where the
    module runs, C(/var/lib/dbops-postgres/evidence/rotation-<name>.json). So an interrupted rotation can be run again.
options:
  name:
    description: Name of the secret.
    type: str
    required: true
  role:
    description: The role that has the rights. It does not log in itself.
    type: str
    required: true
  state:
    description:
      - V(prepared) decides what is to be done and, when a rotation is due, gives the idle login a new password, makes
        sure that the server accepts it, and returns its connection URL. Use C(no_log).
      - V(proven) waits until the login in O(url_value) has a connection that was opened after O(after).
      - V(switched) records that the consumers use the login in O(url_value).
      - V(closed) takes password and right to log in from the other login, if its grace period is over and it has no
        connection left; otherwise it says why not.
    type: str
    choices: [prepared, proven, switched, closed]
    required: true
  url_value:
    description: The connection URL that the source of the secret holds now. Empty when it holds none.
    type: str
    default: ''
  credential:
    description: Take the connection URL from the sealed credential at this path on this host, instead of O(url_value).
    type: path
  url:
    description: The other parts of the connection URL.
    type: dict
    required: true
    suboptions:
      host:
        description: Host name of the server, as consumers reach it.
        type: str
        required: true
      port:
        description: Port of the server.
        type: int
        default: 5432
      database:
        description: Name of the database.
        type: str
        required: true
      parameters:
        description: Further parameters of libpq, for example C(sslmode).
        type: dict
        default: {}
  due_days:
    description: Age in days at which O(state=prepared) replaces the password. 0 means only when forced.
    type: int
    default: 0
  max_age_days:
    description: The policy that the readiness probe applies. It is written into the record.
    type: int
    default: 90
  grace_seconds:
    description: How long the other login stays open after the consumers have moved.
    type: int
    default: 3600
  force:
    description: Replace the password whatever its age.
    type: bool
    default: false
  after:
    description: For O(state=proven), the server's time from which on a connection counts, in seconds since 1970.
    type: float
    default: 0
  timeout:
    description: For O(state=proven), how many seconds to wait for the connection.
    type: int
    default: 60
extends_documentation_fragment:
  - dbops.postgres.attributes
  - dbops.postgres.attributes.action_group
  - dbops.postgres.login
attributes:
  check_mode:
    support: full
    details:
      - Says what would be done. The connection URL that it returns then holds no password.
  diff_mode:
    support: none
    details:
      - A diff of logins would say less than RV(why).
  idempotent:
    support: full
    details:
      - Until the next rotation is due.
"""

EXAMPLES = r"""
- name: Rotate when the password is 30 days old
  dbops.postgres.login_rotation:
    name: payments_url
    role: payments_prod_app
    state: prepared
    url_value: "{{ lookup('dbops.postgres.secret', source, missing='empty') }}"
    url: {host: db1.example.com, database: payments_db, parameters: {sslmode: verify-full}}
    due_days: 30
  no_log: true
  register: prepared
"""

RETURN = r"""
move:
  description: What follows, V(prepare) (publish and deliver a new password), V(deliver), V(close) or V(none).
  returned: always
  type: str
  sample: deliver
login:
  description: The login that it is about.
  returned: always
  type: str
  sample: payments_prod_app_b
why:
  description: Why.
  returned: always
  type: str
  sample: payments_prod_app_a is in use since 31 days
url_base64:
  description:
    - The new connection URL, with its password, in base64.
    - The encoding is no protection. It keeps Ansible from replacing a part of it that happens to be another secret.
  returned: when RV(move) is V(prepare)
  type: str
time:
  description: The server's time, in seconds since 1970.
  returned: always
  type: float
  sample: 1767225600.25
since:
  description: Since when the recorded login is in use, in seconds since 1970; 0 when nothing is recorded.
  returned: always
  type: int
  sample: 1767225600
"""

import base64
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._credentials import logins, observe, rotation
from ansible_collections.dbops.postgres.plugins.module_utils._plan import MASK, DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._secrets import connection_url, new_password

ARGUMENTS: dict[str, Any] = {
    **_postgres.LOGIN_ARGUMENTS,
    "name": {"type": "str", "required": True},
    "role": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["prepared", "proven", "switched", "closed"], "required": True},
    "url_value": {"type": "str", "default": "", "no_log": True},
    "credential": {"type": "path"},
    "url": {
        "type": "dict",
        "required": True,
        "options": {
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 5432},
            "database": {"type": "str", "required": True},
            "parameters": {"type": "dict", "default": {}},
        },
    },
    "due_days": {"type": "int", "default": 0},
    "max_age_days": {"type": "int", "default": 90},
    "grace_seconds": {"type": "int", "default": 3600},
    "force": {"type": "bool", "default": False},
    "after": {"type": "float", "default": 0.0},
    "timeout": {"type": "int", "default": 60},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    try:
        remedy = "Look at the server's log, then run again: the rotation is carried on."
        with _postgres.reported(f"Role {module.params['role']!r}", remedy, untouched=""):
            result = run(module.params, check_mode=module.check_mode)
    except DbopsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Do one step and return the module's result.

    :raises DbopsError: it could not be done; the login in use is as it was.
    """
    name, role, place = logins.check_name(params["name"]), params["role"], params["url"]
    policy = rotation.Policy(params["due_days"] * rotation.DAY, params["grace_seconds"], params["force"])
    url = _published(params)
    connection = _postgres.connect(_postgres.login_from(params))
    try:
        published = logins.published_login(url, role)
        works = bool(published) and logins.accepted(connection, url, place)
        record = logins.read_record(name)
        seen = logins.observe(connection, role, published, works, record, int(time.time()))
        result: dict[str, Any] = {
            "changed": False,
            "login": published,
            "move": "none",
            "why": "",
            "time": logins.server_time(connection),
            "since": record.since if record else 0,
        }
        if params["state"] == "prepared":
            move = rotation.next_move(seen, policy)
            result.update(move=move.kind, login=move.login, why=move.why, changed=move.kind == "prepare")
            if move.kind == "prepare":
                new = _prepare(connection, move.login, place, check_mode)
                result["url_base64"] = base64.b64encode(new.encode("utf-8")).decode("ascii")
        elif params["state"] == "proven":
            if not check_mode and not logins.wait_for_session(
                connection, published, params["after"], params["timeout"]
            ):
                raise DbopsError(
                    f"No connection of {published!r} was opened in {params['timeout']} s",
                    "Look at the consumer's log, then run again: the rotation is carried on.",
                    "Both logins are open; what was published and delivered remains.",
                )
            result["time"] = logins.server_time(connection)
        elif params["state"] == "switched":
            if not works:
                raise DbopsError(f"Secret {name!r}: the published login {published!r} is not accepted by the server")
            if record is None or record.active != published:
                result.update(changed=True, since=seen.now, why=f"{published} is in use")
                if not check_mode:
                    logins.write_record(name, rotation.Record(published, seen.now), params["max_age_days"])
        else:
            move = rotation.closable(seen, policy)
            result.update(move=move.kind, login=move.login, why=move.why, changed=move.kind == "close")
            if move.kind == "close" and not check_mode:
                logins.apply(connection, logins.steps_to_close(move.login))
        return result
    finally:
        connection.close()


def _published(params: dict[str, Any]) -> str:
    """The connection URL that the source holds."""
    if not params["credential"]:
        return str(params["url_value"])
    try:
        with open(params["credential"], "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return ""
    value, problem = observe.unseal(params["name"], content)
    if value is None:
        raise DbopsError(
            f"{params['credential']} cannot be opened: {problem}",
            "Restore this host's credential key, or remove the file: the other login gets a new password then.",
        )
    return value


def _prepare(connection: Any, login: str, place: dict[str, Any], check_mode: bool) -> str:
    """Give a login a new password, and make sure that the server accepts it."""
    password = MASK if check_mode else new_password()
    url = connection_url(login, password, place["host"], place["port"], place["database"], place["parameters"])
    if check_mode:
        return url
    logins.apply(connection, logins.steps_to_open(login, password))
    accepted, answer = logins.connects(url, place)
    if not accepted:
        raise DbopsError(
            f"The server does not accept {login!r} with its new password: {answer}",
            "Check pg_hba.conf, the connection limit and the host in url.",
            "Nothing was published: the login in use is as it was.",
        )
    return url


if __name__ == "__main__":
    main()
