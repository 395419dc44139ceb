# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a report, atomically; a new one is for its owner alone, because it names roles, addresses and weaknesses."""

from __future__ import annotations

import os
import tempfile
from typing import Any


def write(module: Any, path: str, text: str) -> bool:
    """Replace a file if its content differs; True if it did. In check mode nothing is written.

    :param module: the AnsibleModule, for its ``atomic_move`` and ``check_mode``.
    """
    try:
        with open(path, encoding="utf-8") as handle:
            if handle.read() == text:
                return False
    except (OSError, UnicodeDecodeError):
        pass
    if module.check_mode:
        return True
    directory = os.path.dirname(os.path.abspath(path))
    os.makedirs(directory, mode=0o700, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=directory)  # mode 0600 from the start
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
    # For a file that is new, atomic_move takes the mode from the umask.
    umask = os.umask(0o077)
    try:
        module.atomic_move(temporary, path)
    finally:
        os.umask(umask)
    return True
