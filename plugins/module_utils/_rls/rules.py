# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the static rules have in common. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity
from ansible_collections.dbops.postgres.plugins.module_utils._rls.spec import RlsSpec
from ansible_collections.dbops.postgres.plugins.module_utils._rls.state import PUBLIC, Policy, RlsState, Table


@dataclass(frozen=True)
class Problem:
    """Something that a rule does not allow.

    :param severity: where it differs from that of the rule.
    :param names: by which, besides the subject, a spec file may accept it.
    """

    subject: str
    evidence: str
    remedy: str
    severity: Severity | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A static rule; ``holds`` says what is true where it finds nothing.

    :param of_roles: it asks what the roles of applications may do; without such roles it looks at nothing.
    """

    name: str
    severity: Severity
    holds: str
    find: Callable[[RlsState, RlsSpec], Iterator[Problem]]
    of_roles: bool = False


def protected(state: RlsState, spec: RlsSpec) -> list[Table]:
    """Tables that policies should protect: all but those without tenants that every identity is declared to see."""
    return [
        table
        for table in state.tables.values()
        if table.kind in ("r", "p", "f")
        and (table.enabled or table.column(spec.tenant_column) or not spec.open_to_all(state.names(table)))
    ]


def permissive(policies: Iterable[Policy], command: str) -> list[Policy]:
    """Those that give access with a command."""
    return [policy for policy in policies if policy.permissive and policy.command in ("ALL", command)]


def applies(state: RlsState, policy: Policy, role: str) -> bool:
    """Whether a policy is for a role, or for one that it is a member of."""
    me = state.roles.get(role)
    return bool({PUBLIC, role, *(me.reach if me else ())} & set(policy.roles))


def applies_to_audience(state: RlsState, policy: Policy) -> bool:
    """Whether a policy is for any role of an application; without such roles, for anybody."""
    return not state.audience or any(applies(state, policy, role) for role in state.audience)
