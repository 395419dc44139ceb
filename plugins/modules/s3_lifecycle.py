#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: s3_lifecycle
short_description: The lifecycle of a bucket as one declared document
version_added: 0.2.0
author: the dbops.postgres authors (@dbops)
description:
  - Objects of a bucket are deleted, or go to a cheaper storage class, by rules that the server of the bucket carries
    out. Rules are compared by their ID; with a change the whole document is written once and read back.
  - What S3 would refuse, and what would delete objects earlier than O(retention) allows, is refused before anything is
    written.
  - Rules that are not declared stay, unless O(exact) is true.
requirements:
  - boto3 where the module runs, which may be the controller
options:
  bucket:
    description: The bucket. It must exist.
    type: str
    required: true
  rules:
    description: The rules.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: Its ID, unique in the bucket.
        type: str
        required: true
      enabled:
        description: Whether it is carried out.
        type: bool
        default: true
      prefix:
        description: Objects whose key begins with this. By default all.
        type: str
      tags:
        description: Objects that have all of these tags.
        type: dict
      size_over:
        description: Objects of more than so many bytes.
        type: int
      size_under:
        description: Objects of less than so many bytes.
        type: int
      expire_days:
        description: Objects are deleted so many days after they were made.
        type: int
      expire_date:
        description: Objects are deleted on this day, as V(2027-01-31).
        type: str
      expire_delete_markers:
        description: Delete markers of objects that have no versions left are removed.
        type: bool
      noncurrent_days:
        description: Versions are deleted so many days after they were replaced.
        type: int
      noncurrent_keep:
        description: So many of the newest replaced versions stay.
        type: int
      abort_days:
        description: Parts of uploads that were cut off are removed after so many days.
        type: int
      transitions:
        description: Objects go to other storage classes.
        type: list
        elements: dict
        suboptions:
          days:
            description: After so many days.
            type: int
            required: true
          storage_class:
            description: Storage class.
            type: str
            required: true
      noncurrent_transitions:
        description: Replaced versions go to other storage classes.
        type: list
        elements: dict
        suboptions:
          days:
            description: So many days after they were replaced.
            type: int
            required: true
          storage_class:
            description: Storage class.
            type: str
            required: true
  exact:
    description: Whether rules that are not declared are removed.
    type: bool
    default: false
  absent:
    description: IDs of rules to remove.
    type: list
    elements: str
    default: []
  retention:
    description: What the law wants kept. A rule whose prefix overlaps and that deletes earlier is refused.
    type: list
    elements: dict
    default: []
    suboptions:
      prefix:
        description: Objects whose key begins with this. By default all.
        type: str
      days:
        description: For so many days.
        type: int
        required: true
  endpoint:
    description: URL of a server other than AWS's.
    type: str
  region:
    description: Region of the bucket.
    type: str
  ca:
    description: File with the authority of the endpoint's certificate.
    type: path
  path_style:
    description: Whether the bucket's name is part of the path and not of the host name.
    type: bool
    default: false
  access_key_id:
    description: Key. By default what boto3 finds (environment, instance profile).
    type: str
  secret_access_key:
    description: Its secret.
    type: str
  session_token:
    description: Token of a temporary key.
    type: str
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
extends_documentation_fragment:
  - dbops.postgres.attributes
"""

EXAMPLES = r"""
- name: Exports go after a month, invoices stay for ten years
  dbops.postgres.s3_lifecycle:
    bucket: acme-documents
    region: eu-central-1
    retention:
      - {prefix: invoices/, days: 3650}
    rules:
      - {id: exports, prefix: exports/, expire_days: 30}
      - {id: uploads, abort_days: 1}
  delegate_to: localhost

- name: The bucket of the backups, whose sets the host program removes itself
  dbops.postgres.s3_lifecycle:
    bucket: acme-backups
    rules:
      - {id: uploads, abort_days: 1}
      - {id: forgotten, expire_days: 400, noncurrent_days: 30}
  delegate_to: localhost
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode.
  returned: success
  type: list
  elements: str
  sample: [add rule exports]
rules:
  description: IDs of all rules of the bucket, as it is now or would be.
  returned: success
  type: list
  elements: str
  sample: [exports, uploads]
"""

import datetime

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils import _s3
from ansible_collections.dbops.postgres.plugins.module_utils._lifecycle.apply import apply, observe
from ansible_collections.dbops.postgres.plugins.module_utils._lifecycle.plan import plan
from ansible_collections.dbops.postgres.plugins.module_utils._lifecycle.spec import parse
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

_TRANSITIONS = {
    "type": "list",
    "elements": "dict",
    "options": {"days": {"type": "int", "required": True}, "storage_class": {"type": "str", "required": True}},
}
ARGUMENTS = {
    "bucket": {"type": "str", "required": True},
    "rules": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "id": {"type": "str", "required": True},
            "enabled": {"type": "bool", "default": True},
            "prefix": {"type": "str"},
            "tags": {"type": "dict"},
            "size_over": {"type": "int"},
            "size_under": {"type": "int"},
            "expire_days": {"type": "int"},
            "expire_date": {"type": "str"},
            "expire_delete_markers": {"type": "bool"},
            "noncurrent_days": {"type": "int"},
            "noncurrent_keep": {"type": "int"},
            "abort_days": {"type": "int"},
            "transitions": _TRANSITIONS,
            "noncurrent_transitions": _TRANSITIONS,
        },
    },
    "exact": {"type": "bool", "default": False},
    "absent": {"type": "list", "elements": "str", "default": []},
    "retention": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"prefix": {"type": "str"}, "days": {"type": "int", "required": True}},
    },
    "endpoint": {"type": "str"},
    "region": {"type": "str"},
    "ca": {"type": "path"},
    "path_style": {"type": "bool", "default": False},
    "access_key_id": {"type": "str", "no_log": True},
    "secret_access_key": {"type": "str", "no_log": True},
    "session_token": {"type": "str", "no_log": True},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    given = module.params
    where = _s3.Endpoint(
        given["endpoint"] or "", given["region"] or "", given["ca"] or "", given["path_style"], "when_required"
    )
    names = ("access_key_id", "secret_access_key", "session_token")
    keys = {name: given[name] for name in names if given[name]}
    try:
        spec = parse(given, datetime.datetime.now(datetime.timezone.utc).date())
        client = _s3.client(where, keys)
        wanted = plan(spec, observe(client, spec.bucket))
        if wanted.changed and not module.check_mode:
            apply(client, spec.bucket, wanted)
    except DbopsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=wanted.changed,
        actions=list(wanted.actions),
        rules=[str(item.get("ID", "")) for item in wanted.after],
        diff=wanted.diff(),
    )


if __name__ == "__main__":
    main()
