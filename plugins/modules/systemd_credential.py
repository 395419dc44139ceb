#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: systemd_credential
short_description: Deliver secrets to systemd services as sealed credentials
version_added: 0.1.0
author: the dbops.postgres authors (@dbops)
description:
  - Seals secrets to this host with C(systemd-creds) and gives them to the units that consume them, as
    C(LoadCredentialEncrypted=) in a drop-in. The service finds each in C($CREDENTIALS_DIRECTORY), readable by
    itself alone.
  - A secret reaches C(systemd-creds) through a pipe and lies on the disk in sealed form only. What is there is opened
    in memory and compared, so that a second run changes nothing.
  - Where systemd is too old, the secret is written to a file of mode V(0400) instead, and the module says why.
  - Units are not restarted. RV(active_units) are those that have to be, since systemd loads credentials at start.
  - Use C(no_log) on the task when its values come from a loop, and pipelining, so that Ansible itself does not put the
    module's arguments into a temporary file on the host.
options:
  credentials:
    description: The credentials.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the credential, which is the name of the file that the service reads.
        type: str
        required: true
      value:
        description: The secret. Exactly one of O(credentials[].value) and O(credentials[].generate) is needed.
        type: str
      generate:
        description:
          - Number of random letters and digits, 20 or more, to generate on the host when there is no such credential
            yet. What is there is kept.
        type: int
      state:
        description: V(absent) removes the credential and takes it from every unit that loads it.
        type: str
        choices: [present, absent]
        default: present
      units:
        description:
          - Units that load it, with their suffix (service, socket, mount or swap). They need not exist yet.
          - The list is exact. A drop-in of this module in another unit is removed.
        type: list
        elements: str
        default: []
      delivery:
        description:
          - V(credential) seals it, and falls back to a file where systemd is older than 250.
          - V(file) writes a file of mode V(0400), for what cannot read credentials.
        type: str
        choices: [credential, file]
        default: credential
      path:
        description:
          - Where it lies. Its directory must exist.
          - Left out, V(/etc/credstore.encrypted/<name>), or for a file V(/etc/dbops-postgres/secrets/<name>), with
            directories that are made.
        type: path
      owner:
        description: Owner of the file, for O(credentials[].delivery=file).
        type: str
        default: root
      group:
        description: Group of the file, for O(credentials[].delivery=file).
        type: str
        default: root
  with_key:
    description:
      - What it is sealed to, as in C(--with-key) of C(systemd-creds). V(auto) takes the TPM where there is one and the
        host's key.
      - Changing it does not seal again what is already there.
    type: str
    choices: [auto, host, tpm2, host+tpm2]
    default: auto
extends_documentation_fragment:
  - dbops.postgres.attributes
  - dbops.postgres.attributes.action_group
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows files, modes, owners and units, and that a value is new, never a value.
  idempotent:
    support: full
  platform:
    details:
      - Linux. Without systemd 250 or later, files take the place of sealed credentials.
seealso:
  - name: Credentials in systemd
    description: What they protect, and how a service reads them.
    link: https://systemd.io/CREDENTIALS/
"""

EXAMPLES = r"""
- name: Give the payments service its connection URL
  dbops.postgres.systemd_credential:
    credentials:
      - name: payments_url
        value: "{{ vault_payments_url }}"
        units: [payments.service]
  register: payments_credential

- name: Restart what runs with the old one
  ansible.builtin.systemd_service:
    name: "{{ item }}"
    state: restarted
  loop: "{{ payments_credential.active_units }}"

- name: A passphrase that nobody has to know
  dbops.postgres.systemd_credential:
    credentials:
      - {name: backup_passphrase, generate: 40, units: [dbops-backup.service]}
"""

RETURN = r"""
actions:
  description: What was done, or would be in check mode, in order.
  returned: always
  type: list
  elements: str
  sample:
    - seal /etc/credstore.encrypted/payments_url
    - write /etc/systemd/system/payments.service.d/50-credential-payments_url.conf
    - systemctl daemon-reload
credentials:
  description: Where each present credential lies and how it is delivered.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: payments_url
    path:
      description: Its file.
      type: str
      sample: /etc/credstore.encrypted/payments_url
    sealed:
      description: Whether it is sealed.
      type: bool
      sample: true
    reason:
      description: Why it is not sealed; empty when it is.
      type: str
      sample: ""
    since:
      description: Since when it has this value, in seconds since 1970; none in check mode when it would be written.
      type: int
      sample: 1767225600
units:
  description: Units whose credentials changed.
  returned: always
  type: list
  elements: str
  sample: [payments.service]
active_units:
  description: Those of RV(units) that run, and so still have the old ones.
  returned: always
  type: list
  elements: str
  sample: [payments.service]
running_units:
  description: Units that load any of the declared credentials and run.
  returned: always
  type: list
  elements: str
  sample: [payments.service]
capabilities:
  description: What this host can do.
  returned: always
  type: dict
  sample: {systemd: 257, sealed: true}
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._credentials import apply, observe, plan, spec
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

ARGUMENTS: dict[str, Any] = {
    "credentials": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "value": {"type": "str", "no_log": True},
            "generate": {"type": "int"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "units": {"type": "list", "elements": "str", "default": []},
            "delivery": {"type": "str", "choices": ["credential", "file"], "default": "credential"},
            "path": {"type": "path"},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
        },
    },
    "with_key": {"type": "str", "choices": ["auto", "host", "tpm2", "host+tpm2"], "default": "auto"},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    try:
        items = spec.credentials_from(module.params["credentials"])
        host = observe.observe(items)
        todo = plan.plan(items, host)
        if todo.changed and not module.check_mode:
            apply.apply(todo, module.params["with_key"])
    except DbopsError as error:
        module.fail_json(msg=str(error))
    ways = [(item, spec.delivery(item, host.systemd)) for item in items if item.present]
    for item, how in ways:
        if how.reason and not item.file:
            module.warn(f"Credential {item.name} is a file of mode 0400: {how.reason}.")
    written = {write.how.path for write in todo.writes} if module.check_mode else set()
    module.exit_json(
        changed=todo.changed,
        actions=todo.actions,
        diff=todo.diff(),
        credentials=[
            {
                "name": item.name,
                "path": how.path,
                "sealed": how.sealed,
                "reason": how.reason,
                "since": None if how.path in written else int(os.stat(how.path).st_mtime),
            }
            for item, how in ways
        ],
        units=list(todo.units),
        active_units=[unit for unit in todo.units if unit in host.active],
        running_units=list(host.active),
        capabilities={"systemd": host.systemd, "sealed": (host.systemd or 0) >= spec.SEALED_SINCE},
    )


if __name__ == "__main__":
    main()
