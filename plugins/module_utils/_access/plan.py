# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared access x live access -> plan. Pure, and the same for check mode and the real run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._access import effective
from ansible_collections.dbops.postgres.plugins.module_utils._access.plan_database import DatabaseDraft, plan_database
from ansible_collections.dbops.postgres.plugins.module_utils._access.plan_roles import plan_roles, self_grants
from ansible_collections.dbops.postgres.plugins.module_utils._access.spec import (
    PUBLIC,
    AccessSpec,
    Problems,
    nearest,
    referenced_roles,
)
from ansible_collections.dbops.postgres.plugins.module_utils._access.state import AccessState
from ansible_collections.dbops.postgres.plugins.module_utils._plan import Plan
from ansible_collections.dbops.postgres.plugins.module_utils._secrets import scram_verifier


@dataclass(frozen=True)
class Planned:
    """A plan, and what its reader has to know besides."""

    plan: Plan
    warnings: tuple[str, ...] = ()


def plan(spec: AccessSpec, state: AccessState, verifier: Callable[[str], str] = scram_verifier) -> Planned:
    """What has to be done, in order.

    First what concerns the whole cluster (roles, attributes, passwords, settings, memberships), then the databases
    that have to be created, then each database by itself, at last the roles that have to go. So whatever is done when
    a later part fails is harmless: roles that may not do anything yet.

    :param verifier: makes a stored verifier of a password.
    :raises DbopsError: naming everything that is wrong with the spec on this server.
    """
    problems = Problems()
    _check_references(spec, state, problems)
    roles = plan_roles(spec, state, problems, verifier)
    exempt = exemption(spec, state)
    drafts = [plan_database(database, spec, state, exempt, problems) for database in spec.databases]
    created = {role.name for role in spec.roles if role.present and role.name not in state.roles}
    needed = {role for draft in drafts for role in draft.acts_as if role in state.roles or role in created}
    own = self_grants(needed, created, state, problems)
    _check_lockout(drafts, list(own), spec, state, problems)
    problems.raise_if_any()
    steps = [
        *roles.create,
        *roles.alter,
        *roles.passwords,
        *roles.settings,
        *roles.memberships,
        *own.values(),
        *(step for draft in drafts for step in draft.create),
        *(step for draft in drafts for step in draft.steps),
        *roles.drop,
    ]
    changes = [*roles.changes, *(change for draft in drafts for change in draft.changes)]
    warnings = [*roles.warnings, *(warning for draft in drafts for warning in draft.warnings)]
    return Planned(Plan(tuple(steps), tuple(changes)), tuple(dict.fromkeys(warnings)))


def exemption(spec: AccessSpec, state: AccessState) -> Callable[[str], bool]:
    """Whose privileges ``purge`` leaves as they are: superusers, predefined roles, ignored ones, the connected one."""
    known: dict[str, bool] = {}

    def exempt(role: str) -> bool:
        if role not in known:
            there = state.roles.get(role)
            known[role] = role != PUBLIC and (
                role.startswith("pg_")
                or (there is not None and there.superuser)
                or (state.capabilities.rds and role.startswith("rds"))
                or role == state.capabilities.user
            )
            known[role] = known[role] or spec.ignores(role)
        return known[role]

    return exempt


def _check_references(spec: AccessSpec, state: AccessState, problems: Problems) -> None:
    known = {role.name for role in spec.roles if role.present} | set(state.roles) | {PUBLIC}
    for role, place in referenced_roles(spec):
        if role not in known:
            problems.add(f"{place}: there is no role {role!r} and none is declared{nearest(role, known - {PUBLIC})}")


def _check_lockout(
    drafts: Sequence[DatabaseDraft], own: Sequence[str], spec: AccessSpec, state: AccessState, problems: Problems
) -> None:
    """The connected role must be able to come back: log in, and connect where it could before."""
    me = state.capabilities.user
    for role in spec.roles:
        if role.name == me and (not role.present or role.flags.get("login") is False):
            problems.add(f"This plan would lock its own login {me!r} out of the server")
    if state.capabilities.superuser:
        return
    mine = {PUBLIC, *effective.inherited(state)[me]}
    if state.capabilities.server_version >= 160000 or state.roles[me].flags["inherit"]:
        mine.update(own)
    for draft in drafts:
        locked_out = mine & draft.connect_before and not mine & draft.connect_after
        if locked_out and not draft.create and draft.owner_after not in mine:
            problems.add(
                f"This plan would lock its own login {me!r} out of database {draft.name!r}; "
                "add it to connect of that database"
            )
