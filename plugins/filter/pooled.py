# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: pooled
short_description: Pools and direct users of the services of an environment
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Turns services, as the role P(dbops.postgres.access#role) declares them, into the options
    O(dbops.postgres.pgbouncer_config#module:databases) and O(dbops.postgres.pgbouncer_config#module:direct).
positional: _input, environment
options:
  _input:
    description: The services, as C(access_services).
    type: list
    elements: dict
    required: true
  environment:
    description: Environment of the host.
    type: str
    required: true
  databases:
    description: Further databases; one with the name of a service's database replaces it.
    type: list
    elements: dict
    default: []
  sizes:
    description: Pool size by service.
    type: dict
    default: {}
  direct:
    description: Further direct users with their number of connections.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show what is pooled
  ansible.builtin.debug:
    msg: "{{ services | dbops.postgres.pooled('prod', sizes={'payments': 10}) }}"
  vars:
    services:
      - {name: payments, database: payments_db}
"""

RETURN = r"""
_value:
  description: A dictionary with C(databases) and C(direct).
  type: dict
"""

from typing import Any  # noqa: E402

from ansible.errors import AnsibleFilterError  # noqa: E402

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError  # noqa: E402
from ansible_collections.dbops.postgres.plugins.module_utils._pooler import services as _services  # noqa: E402


def pooled(
    services: Any, environment: str, databases: Any = (), sizes: Any = None, direct: Any = None
) -> dict[str, Any]:
    try:
        return _services.pooled(services, environment, databases=databases, sizes=sizes, direct=direct)
    except DbopsError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Filters of the role pgbouncer."""

    def filters(self) -> dict[str, Any]:
        return {"pooled": pooled}
