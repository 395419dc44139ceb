# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Desired x observed -> the whole document that has to be there. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._lifecycle.document import Document, read, written
from ansible_collections.dbops.postgres.plugins.module_utils._lifecycle.spec import MOST_RULES, LifecycleSpec
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError


@dataclass(frozen=True)
class LifecyclePlan:
    """What will be done.

    :param before: as it is; ``after``: as it will be, all of it. One PUT, or a DELETE when nothing is left.
    """

    before: tuple[Document, ...]
    after: tuple[Document, ...]
    actions: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """True when there is anything to do."""
        return bool(self.actions)

    def diff(self) -> dict[str, str]:
        """Before and after, as Ansible prints it."""
        return {"before": _text(self.before), "after": _text(self.after)}


def plan(spec: LifecycleSpec, there: Sequence[Document]) -> LifecyclePlan:
    """What has to be done.

    :raises DbopsError: the bucket would have too many rules.
    """
    found = {str(item.get("ID", "")): item for item in there}
    wanted = {rule.id: rule for rule in spec.rules}
    after: list[Document] = []
    actions = []
    for item in there:
        rule_id = str(item.get("ID", ""))
        if rule_id in wanted:
            same = read(item) == wanted[rule_id]
            after.append(item if same else written(wanted[rule_id]))
            actions += [] if same else [f"change rule {rule_id}"]
        elif spec.exact or rule_id in spec.absent:
            actions.append(f"remove rule {rule_id or '(without an ID)'}")
        else:
            after.append(item)
    for rule_id, rule in wanted.items():
        if rule_id not in found:
            after.append(written(rule))
            actions.append(f"add rule {rule_id}")
    if len(after) > MOST_RULES:
        raise DbopsError(
            f"Bucket {spec.bucket} would have {len(after)} rules", f"S3 takes {MOST_RULES} at most: remove some."
        )
    return LifecyclePlan(tuple(there), tuple(after), tuple(actions))


def same(one: Sequence[Document], other: Sequence[Document]) -> bool:
    """Whether two documents say the same, whatever their order and spelling."""
    return _said(one) == _said(other)


def _said(documents: Sequence[Document]) -> list[str]:
    return sorted(repr(read(item)) if read(item) else _text([item]) for item in documents)


def _text(documents: Sequence[Document]) -> str:
    def plain(value: Any) -> str:
        return str(value)

    ordered = sorted(documents, key=lambda item: str(item.get("ID", "")))
    return json.dumps(ordered, indent=2, sort_keys=True, default=plain) + "\n" if ordered else ""
