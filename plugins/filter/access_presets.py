# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: access_presets
short_description: Roles and databases of the services of an environment
version_added: 0.1.0
author: the dbops.postgres authors (@dbops)
description:
  - Turns C(access_services) of the role P(dbops.postgres.access#role) into the options
    O(dbops.postgres.pg_access#module:roles) and O(dbops.postgres.pg_access#module:databases).
positional: _input
options:
  _input:
    description: The services, as the role documents them.
    type: list
    elements: dict
    required: true
  environment:
    description: Environment of the host.
    type: str
    required: true
  passwords:
    description: Passwords by role.
    type: dict
    default: {}
  settings:
    description: Settings of the logins of each service, under C(app), C(migrator) and C(ro).
    type: dict
    default: {}
  roles:
    description: Further roles.
    type: list
    elements: dict
    default: []
  databases:
    description: Further databases.
    type: list
    elements: dict
    default: []
  purge:
    description: Whether what is not declared is revoked.
    type: bool
    default: true
  closed:
    description: Databases that nobody is given access to, unless O(databases) declares them.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show what the services come to
  ansible.builtin.debug:
    msg: "{{ services | dbops.postgres.access_presets('prod', passwords=vault_passwords) }}"
  vars:
    services:
      - {name: payments, database: payments_db}
"""

RETURN = r"""
_value:
  description: A dictionary with C(roles) and C(databases).
  type: dict
"""

from typing import Any  # noqa: E402

from ansible.errors import AnsibleFilterError  # noqa: E402

from ansible_collections.dbops.postgres.plugins.module_utils._access.presets import Settings, expand  # noqa: E402
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError  # noqa: E402


def access_presets(
    services: Any,
    environment: str,
    passwords: Any = None,
    settings: Any = None,
    roles: Any = (),
    databases: Any = (),
    purge: bool = True,
    closed: Any = (),
) -> dict[str, list[dict[str, Any]]]:
    try:
        return expand(
            services,
            environment=environment,
            passwords=passwords or {},
            settings=Settings(**(settings or {})),
            roles=roles,
            databases=databases,
            purge=purge,
            closed=closed,
        )
    except DbopsError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Filters of the role access."""

    def filters(self) -> dict[str, Any]:
        return {"access_presets": access_presets}
