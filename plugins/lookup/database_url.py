# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a connection URL on the controller, and guard it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: database_url
short_description: Read a connection URL on the controller, and guard it
version_added: 0.2.0
author:
  - the dbops.postgres authors (@dbops)
description:
  - Returns the URL of an environment variable of the controller, or fails when it must not be used in this environment.
    An error says what is wrong and holds nothing of the URL.
  - What is refused is said at P(dbops.postgres.database_url#filter).
options:
  _terms:
    description: Names of environment variables.
    required: true
  environment:
    description: Where it is to be used. V(prod), V(production) and V(live) are production.
    type: str
    required: true
  minimum:
    description: The weakest C(sslmode) that will do, by environment. The key V('') stands for all others.
    type: dict
    default: {}
  several_hosts:
    description: Whether a list of hosts will do.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Migrate with the URL of the pipeline
  ansible.builtin.command: prisma migrate deploy
  environment:
    DATABASE_URL: "{{ lookup('dbops.postgres.database_url', 'DATABASE_URL', environment='prod') }}"
"""

RETURN = r"""
_raw:
  description: The URLs.
  type: list
  elements: str
"""

import os
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.dbops.postgres.plugins.module_utils import _urls
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError


class LookupModule(LookupBase):  # type: ignore[misc] # ansible-core is not looked into
    """The lookup."""

    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[str]:
        """The URL of each environment variable in ``terms``."""
        self.set_options(var_options=variables, direct=kwargs)
        several, minimum = self.get_option("several_hosts"), self.get_option("minimum")
        found = []
        for name in terms:
            try:
                _urls.check_minimum(minimum)
                url = os.environ.get(name)
                found.append(_urls.guard_url(url, self.get_option("environment"), minimum, several_hosts=several))
            except DbopsError as error:
                raise AnsibleLookupError(f"Environment variable {name}: {error}") from None
        return found
