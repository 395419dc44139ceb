# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: access_register
short_description: The access register of a host as documents
version_added: 0.1.0
author: the dbops.postgres authors (@dbops)
description:
  - Turns what M(dbops.postgres.pg_access_info) returned into Markdown and CSV, sorted and without a date, so that a
    difference between two registers is a difference in access.
positional: _input, host
options:
  _input:
    description: What the module returned.
    type: dict
    required: true
  host:
    description: Name of the host.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show the names of the documents
  ansible.builtin.debug:
    msg: "{{ access_info | dbops.postgres.access_register(inventory_hostname) | list }}"
"""

RETURN = r"""
_value:
  description: Content by file name, C(<host>/<database>.md) and C(<host>/<database>.csv).
  type: dict
"""

from typing import Any  # noqa: E402

from ansible_collections.dbops.postgres.plugins.module_utils._access.register import register  # noqa: E402


class FilterModule:
    """Filters of the playbook access_register."""

    def filters(self) -> dict[str, Any]:
        return {"access_register": register}
