# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes that every module declares."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and tell what it would change without changing it.
  diff_mode:
    description: Returns what has changed, or would change in C(check_mode), when in C(diff_mode).
  idempotent:
    description: Run again with the same options, it changes nothing.
  platform:
    description: The systems on which the module can run.
    platforms: posix
    support: full
"""

    # For modules in the action group `all` of this collection, whose defaults are set once with
    # `module_defaults: group/dbops.postgres.all`.
    ACTION_GROUP = r"""
options: {}
attributes:
  action_group:
    description: Defaults of this module are set with C(module_defaults) of the action group.
    support: full
    membership:
      - dbops.postgres.all
"""

    # For modules that only read.
    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module does not change anything.
  diff_mode:
    support: N/A
    details:
      - This module does not change anything.
  idempotent:
    support: full
    details:
      - This module does not change anything.
"""
