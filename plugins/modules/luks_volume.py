#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: luks_volume
short_description: Encrypt a disk with LUKS2, and never destroy data with it
version_added: 0.1.0
author: the dbops.postgres authors (@dbops)
description:
  - Makes of a fresh disk an open LUKS2 volume (aes-xts-plain64, 512 bit, argon2id) with a file system, and keeps it
    that way. The key for the boot, a recovery keyslot, a header backup, its rotation and the growth with the disk
    are part of the one plan.
  - Formats only a device that is whole, unused, without any signature that libblkid knows, and that reads as zeros in
    its first 16 MiB, its last MiB and 64 evenly spaced MiBs between. Anything else is refused with what was found.
  - A LUKS volume is never formatted, whatever else is said. If the key does not open it, that is an error.
  - Takes an existing LUKS2 volume over without changing it, if the key opens it.
  - Writes the volume's line of C(/etc/crypttab), with the UUID, and the drop-ins that systemd needs.
  - What this module does not do is to mount; the role C(dbops.postgres.luks_volume) does, with C(ansible.posix.mount).
    C(community.crypto.luks_device) is not used, because it knows nothing of blank disks, of the boot's key and of the
    order of a rotation, and there must be no moment between a probe and a format by somebody else.
requirements:
  - cryptsetup >= 2.4 and util-linux
  - systemd-creds (systemd >= 250), for O(boot=credential)
  - age, for O(recovery_recipients)
  - e2fsprogs or xfsprogs
extends_documentation_fragment:
  - dbops.postgres.attributes
attributes:
  check_mode:
    details:
      - The same plan as the real run. What is inside a closed volume is seen only once it is open, so growth of
        its file system is not predicted then.
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  device:
    description:
      - The disk. A path in C(/dev/disk/by-id) is the same disk after every boot. Once the volume exists, its UUID is
        what counts. A path that leads to another disk by then is refused.
    type: str
    required: true
  name:
    description: Name of the mapping in C(/dev/mapper), and the label of the volume.
    type: str
    required: true
  state:
    description: Whether the volume is open. A mounted volume is not closed.
    type: str
    choices: [opened, closed]
    default: opened
  mountpoint:
    description:
      - Where the volume will be mounted. It is only looked at. If there is a file below it, or another mount, nothing
        is done at all, because a mount would hide that.
    type: path
  filesystem:
    description: The file system in it. A volume that holds another one is refused.
    type: str
    choices: [ext4, xfs]
    default: ext4
  key:
    description: The key, used byte by byte. One of O(key) and O(key_file) is required.
    type: str
  key_file:
    description: A file on the host that holds the key, readable by its owner only.
    type: path
  previous_key:
    description:
      - The key that O(key) replaces. The new one is added and proven, the boot's key is switched and proven, and then
        the keyslot of this one is removed. May stay after that.
      - The recovery key may be given here if the key was lost. Its own keyslot is kept.
    type: str
  recovery_key:
    description: A second passphrase, kept by the operators in a vault, in a keyslot of its own.
    type: str
  recovery_recipients:
    description:
      - Generates a recovery passphrase on the host that leaves it only encrypted to these recipients of C(age).
        Mutually exclusive with O(recovery_key).
    type: list
    elements: str
    default: []
  boot:
    description:
      - What opens the volume at boot.
      - V(credential) is the key, sealed by C(systemd-creds) for this host.
      - V(key_file) is a file on another encrypted volume, which this module refuses to write anywhere else.
      - V(none) leaves it to a passphrase at the console, or to what was enrolled by hand with C(systemd-cryptenroll) or
        Clevis.
    type: str
    choices: [credential, key_file, none]
    default: credential
  boot_seal:
    description:
      - What C(systemd-creds) seals with. V(auto) takes the TPM2 chip where there is one and the host's key.
    type: str
    choices: [auto, host, tpm2, host+tpm2]
    default: auto
  boot_key_file:
    description: The file for O(boot=key_file).
    type: str
    default: ''
  header_backup:
    description: Whether to keep a backup of the header in C(/var/lib/dbops-postgres/luks), renewed with every change.
    type: bool
    default: true
  wipe_confirm:
    description:
      - The serial number of the device, or a UUID found on it. Then what was found on it is destroyed.
      - Never destroys a LUKS volume, and nothing that is in use.
    type: str
    default: ''
  discard:
    description:
      - Whether the volume passes discards on to the disk. It lets a thief see which blocks are unused. Used when the
        volume is opened.
    type: bool
    default: false
  nofail:
    description: Whether the host boots on without the volume. Goes into the line for crypttab.
    type: bool
    default: false
  required_by:
    description: Units that must not start while it is not mounted on O(mountpoint).
    type: list
    elements: str
    default: []
  pbkdf_memory:
    description: Memory that argon2id takes, in KiB. Left out, cryptsetup measures for about two seconds per try.
    type: int
  pbkdf_iterations:
    description: Passes of argon2id.
    type: int
  pbkdf_parallel:
    description: Threads of argon2id.
    type: int
seealso:
  - module: community.crypto.luks_device
  - name: LUKS2 on-disk format
    description: What the header holds.
    link: https://gitlab.com/cryptsetup/LUKS2-docs
"""

EXAMPLES = r"""
- name: An encrypted volume for the clusters
  dbops.postgres.luks_volume:
    device: /dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0
    name: pgdata_crypt
    key: "{{ vault_pgdata_key }}"
    recovery_recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]

- name: Rotate its key
  dbops.postgres.luks_volume:
    device: /dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0
    name: pgdata_crypt
    key: "{{ vault_pgdata_key }}"
    previous_key: "{{ vault_pgdata_key_of_last_year }}"
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, in order.
  returned: always
  type: list
  elements: str
  sample: ["open it as /dev/mapper/pgdata_crypt"]
uuid:
  description: UUID of the volume. Empty in check mode as long as it does not exist.
  returned: always
  type: str
  sample: 1b4fcc7a-0a0f-4c3a-9d8a-3b6f6a4de0b4
mapper:
  description: The opened device.
  returned: always
  type: str
  sample: /dev/mapper/pgdata_crypt
unit:
  description: The unit that opens the volume at boot.
  returned: always
  type: str
  sample: systemd-cryptsetup@pgdata_crypt.service
keyslots:
  description: The keyslots, with the role of each; V(unknown) is opened by no key that was declared.
  returned: always
  type: list
  elements: dict
  sample: [{"number": 0, "role": "key", "kdf": "argon2id", "memory_kib": 1048576, "iterations": 4, "parallel": 4}]
header_backup:
  description: The header backup on the host.
  returned: always
  type: dict
  sample: {"path": /var/lib/dbops-postgres/luks/pgdata_crypt.header, "sha256": 5feceb66..., "uuid": 1b4fcc7a-...}
recovery_file:
  description: The encrypted recovery passphrase on the host. Empty without O(recovery_recipients).
  returned: always
  type: str
  sample: /var/lib/dbops-postgres/luks/pgdata_crypt.recovery.age
capabilities:
  description: What was looked at.
  returned: always
  type: dict
  sample: {"device": /dev/nvme1n1, "size": 107374182400, "serials": [vol0123456789abcdef0]}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError, Plan
from ansible_collections.dbops.postgres.plugins.module_utils._volume.apply import converge, exclusive
from ansible_collections.dbops.postgres.plugins.module_utils._volume.observe import key_file, observe
from ansible_collections.dbops.postgres.plugins.module_utils._volume.plan import plan
from ansible_collections.dbops.postgres.plugins.module_utils._volume.report import report
from ansible_collections.dbops.postgres.plugins.module_utils._volume.spec import volume_from

ARGUMENTS: dict[str, dict[str, Any]] = {
    "device": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["opened", "closed"], "default": "opened"},
    "mountpoint": {"type": "path"},
    "filesystem": {"type": "str", "choices": ["ext4", "xfs"], "default": "ext4"},
    "key": {"type": "str", "no_log": True},
    "key_file": {"type": "path", "no_log": False},
    "previous_key": {"type": "str", "no_log": True},
    "recovery_key": {"type": "str", "no_log": True},
    "recovery_recipients": {"type": "list", "elements": "str", "default": []},
    "boot": {"type": "str", "choices": ["credential", "key_file", "none"], "default": "credential"},
    "boot_seal": {"type": "str", "choices": ["auto", "host", "tpm2", "host+tpm2"], "default": "auto"},
    "boot_key_file": {"type": "str", "default": "", "no_log": False},
    "header_backup": {"type": "bool", "default": True},
    "wipe_confirm": {"type": "str", "default": ""},
    "discard": {"type": "bool", "default": False},
    "nofail": {"type": "bool", "default": False},
    "required_by": {"type": "list", "elements": "str", "default": []},
    "pbkdf_memory": {"type": "int"},
    "pbkdf_iterations": {"type": "int"},
    "pbkdf_parallel": {"type": "int"},
}


def main() -> None:
    """Observe, plan, and apply unless in check mode."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        mutually_exclusive=[("key", "key_file"), ("recovery_key", "recovery_recipients")],
        required_one_of=[("key", "key_file")],
    )
    try:
        path = module.params["key_file"]
        spec = volume_from(module.params, key_file=key_file(path) if path else None)
        with exclusive(spec):
            seen = observe(spec)
            wanted = plan(spec, seen)
            if wanted.actions and not module.check_mode:
                converge(spec, wanted)
                seen = observe(spec)
        result = report(spec, seen)
    except DbopsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(wanted.actions),
        actions=[action.text for action in wanted.actions],
        diff=Plan(changes=wanted.changes).diff(),
        **result,
    )


if __name__ == "__main__":
    main()
