# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a secret from wherever it is kept."""

from __future__ import annotations

DOCUMENTATION = r"""
name: secret
short_description: Read a secret from its source
version_added: 0.1.0
author:
  - the dbops.postgres authors (@dbops)
description:
  - One way to name where a secret is kept, whatever keeps it. It is the C(source) of the role
    P(dbops.postgres.secrets#role).
  - It runs on the controller. Use it in the arguments of a task with C(no_log), so that the secret is in no variable.
options:
  _terms:
    description:
      - Sources, each a dictionary with C(type) and what that type needs.
      - Type C(value) has C(value), a variable, which should come from Ansible Vault.
      - Type C(file) has C(path), a file on the controller, encrypted with Ansible Vault or not.
      - Type C(vault_file) has C(path), a file on the controller that the role encrypts with Ansible Vault, its
        C(vault_password) and, if need be, its C(vault_id).
      - Type C(hashi_vault) has C(path) and C(field) of a secret of the KV 2 engine of HashiCorp Vault or OpenBao, and,
        if need be, its C(mount) and C(options) of the lookup P(community.hashi_vault.vault_kv2_get#lookup).
      - Type C(aws_secretsmanager) has C(secret), the name of a string in AWS Secrets Manager, and, if need be,
        C(options) of the lookup P(amazon.aws.secretsmanager_secret#lookup).
      - Type C(doppler) has C(project), C(config) and C(secret) in Doppler, and a C(token) that can read it.
    required: true
  missing:
    description: What to do when the source has no such secret. V(empty) returns an empty string.
    type: str
    choices: [error, empty]
    default: error
  whole:
    description:
      - Return all fields of the path as a dictionary, for a source of type C(hashi_vault). A missing path has none.
      - What writes one field needs the others, since Vault replaces a secret as a whole.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Declare access with a password from AWS Secrets Manager
  ansible.builtin.include_role:
    name: dbops.postgres.access
  vars:
    access_passwords:
      payments_prod_migrator: >-
        {{ lookup('dbops.postgres.secret', {'type': 'aws_secretsmanager', 'secret': 'prod/payments/migrator'}) }}
"""

RETURN = r"""
_raw:
  description: The secrets.
  type: list
  elements: str
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ansible.errors import AnsibleError, AnsibleLookupError
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.plugins.loader import lookup_loader
from ansible.plugins.lookup import LookupBase

from ansible_collections.dbops.postgres.plugins.module_utils._credentials.source import check_source
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

DOPPLER_URL = "https://api.doppler.com"


class LookupModule(LookupBase):  # type: ignore[misc] # ansible-core is not looked into
    """The lookup."""

    def run(self, terms: list[Mapping[str, Any]], variables: Any = None, **kwargs: Any) -> list[Any]:
        """The secret of each source in ``terms``."""
        self.set_options(var_options=variables, direct=kwargs)
        if self.get_option("whole"):
            return [self._fields(term, variables) for term in terms]
        return [self._secret(term, variables) for term in terms]

    def _secret(self, source: Mapping[str, Any], variables: Any) -> str:
        try:
            check_source(source)
        except DbopsError as error:
            raise AnsibleLookupError(str(error)) from None
        kind = str(source["type"])
        if kind == "host":
            raise AnsibleLookupError("A secret that is generated on a host is not known to the controller.")
        found: str | None = getattr(self, f"_{kind}")(source, variables)
        if not found and self.get_option("missing") == "error":
            shown = ", ".join(
                str(source[key]) for key in ("mount", "path", "field", "project", "secret") if key in source
            )
            raise AnsibleLookupError(f"The source of type {kind} has no secret {shown}.".replace("  ", " "))
        return found or ""

    def _value(self, source: Mapping[str, Any], variables: Any) -> str | None:
        return str(source["value"])

    def _file(self, source: Mapping[str, Any], variables: Any) -> str | None:
        if not Path(source["path"]).exists():
            return None
        (text,) = self._other("ansible.builtin.unvault", source["path"], variables)
        return str(text).rstrip("\n")

    def _vault_file(self, source: Mapping[str, Any], variables: Any) -> str | None:
        path = Path(source["path"])
        if not path.exists():
            return None
        secret = VaultSecret(str(source["vault_password"]).encode())
        try:
            text: bytes = VaultLib([(str(source.get("vault_id", "default")), secret)]).decrypt(path.read_bytes())
        except AnsibleError:
            raise AnsibleLookupError(f"{path} cannot be decrypted with the given vault password.") from None
        return text.decode().rstrip("\n")

    def _hashi_vault(self, source: Mapping[str, Any], variables: Any) -> str | None:
        value = self._fields(source, variables).get(source["field"])
        return None if value is None else str(value)

    def _fields(self, source: Mapping[str, Any], variables: Any) -> dict[str, Any]:
        options = {"engine_mount_point": source.get("mount", "secret"), **source.get("options", {})}
        try:
            (found,) = self._other("community.hashi_vault.vault_kv2_get", source["path"], variables, **options)
        except AnsibleError as error:
            if "Invalid or missing path" in str(error):
                return {}
            raise
        return dict(found["secret"])

    def _aws_secretsmanager(self, source: Mapping[str, Any], variables: Any) -> str | None:
        options = {"on_missing": "skip", **source.get("options", {})}
        found = self._other("amazon.aws.secretsmanager_secret", source["secret"], variables, **options)
        return str("".join(found)) or None

    def _doppler(self, source: Mapping[str, Any], variables: Any) -> str | None:
        query = urlencode({"project": source["project"], "config": source["config"], "format": "json"})
        (text,) = self._other(
            "ansible.builtin.url",
            f"{source.get('url', DOPPLER_URL)}/v3/configs/config/secrets/download?{query}",
            variables,
            headers={"Authorization": f"Bearer {source['token']}", "Accept": "application/json"},
            split_lines=False,
        )
        value = json.loads(text).get(source["secret"])
        return None if value is None else str(value)

    def _other(self, name: str, term: str, variables: Any, **options: Any) -> list[Any]:
        plugin = lookup_loader.get(name, loader=self._loader, templar=self._templar)
        if plugin is None:
            raise AnsibleLookupError(f"The lookup {name} is not installed on the controller. Install its collection.")
        found: list[Any] = plugin.run([term], variables=variables, **options)
        return found
