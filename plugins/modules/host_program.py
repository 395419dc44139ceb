#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: host_program
short_description: Install the host program dbops-postgres
version_added: 0.1.0
author: the dbops.postgres authors (@dbops)
description:
  - Writes C(dbops-postgres), the program that timers run and a person types, as one executable file. It is the same
    Python that the modules of this collection run.
  - It needs nothing but the host's own Python and psycopg2, and nothing is downloaded.
options:
  path:
    description: Where it lies. Its directory must exist.
    type: path
    default: /usr/local/sbin/dbops-postgres
extends_documentation_fragment:
  - dbops.postgres.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the checksum of the program, before and after.
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Install the host program
  dbops.postgres.host_program:
  become: true
"""

RETURN = r"""
path:
  description: Where it lies.
  returned: always
  type: str
  sample: /usr/local/sbin/dbops-postgres
sha256:
  description: Its checksum.
  returned: always
  type: str
  sample: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
"""

import hashlib
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._host_program import build, program

MODE = 0o755


def main() -> None:
    """Run the module."""
    arguments = {"path": {"type": "path", "default": "/usr/local/sbin/dbops-postgres"}}
    module = AnsibleModule(arguments, supports_check_mode=True)
    path = module.params["path"]
    content = build.archive(program.__name__)
    wanted = f"sha256 {hashlib.sha256(content).hexdigest()}, mode {MODE:04o}"
    found = _found(path)
    changed = found != wanted
    if changed and not module.check_mode:
        if not os.path.isdir(os.path.dirname(path)):
            module.fail_json(msg=f"The directory of {path} does not exist. Nothing was changed. Make it first.")
        try:
            _write(path, content)
        except OSError as error:
            module.fail_json(
                msg=f"{path} cannot be written: {error.strerror}. It is as it was. Look at its file system."
            )
    module.exit_json(
        changed=changed,
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        diff={"before": f"{path}: {found}\n" if found else "", "after": f"{path}: {wanted}\n"},
    )


def _write(path: str, content: bytes) -> None:
    new = f"{path}.new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o700)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.chown(new, 0, 0)
    os.chmod(new, MODE)
    os.replace(new, path)


def _found(path: str) -> str:
    try:
        with open(path, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        mode = os.stat(path).st_mode & 0o7777
    except FileNotFoundError:
        return ""
    return f"sha256 {digest}, mode {mode:04o}"


if __name__ == "__main__":
    main()
