# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the plan that concerns the whole cluster: roles, their settings, their memberships, their end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from ansible_collections.dbops.postgres.plugins.module_utils._access import statements
from ansible_collections.dbops.postgres.plugins.module_utils._access.spec import (
    LIST_SETTINGS,
    ROLE_FLAGS,
    AccessSpec,
    MemberSpec,
    Problems,
    RoleSpec,
    find_cycle,
    join_list,
    nearest,
    split_list,
)
from ansible_collections.dbops.postgres.plugins.module_utils._access.state import AccessState, Membership, Role
from ansible_collections.dbops.postgres.plugins.module_utils._plan import (
    MASK,
    Argument,
    Change,
    Ident,
    Literal,
    Secret,
    Sql,
    Step,
)
from ansible_collections.dbops.postgres.plugins.module_utils._secrets import is_verifier, verifies

MEMBERSHIP_OPTIONS_SINCE = 160000


@dataclass
class RolesDraft:
    """Steps in the order in which they have to run, each group before the next; and what else came to light."""

    create: list[Step] = field(default_factory=list)
    alter: list[Step] = field(default_factory=list)
    passwords: list[Step] = field(default_factory=list)
    settings: list[Step] = field(default_factory=list)
    memberships: list[Step] = field(default_factory=list)
    drop: list[Step] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def plan_roles(spec: AccessSpec, state: AccessState, problems: Problems, verifier: Callable[[str], str]) -> RolesDraft:
    """Plan every role of the spec, declared order; dropped ones last."""
    draft = RolesDraft()
    unreadable = []
    secrets = _passwords(spec, state, verifier)
    for role in spec.roles:
        observed = state.roles.get(role.name)
        if not _guarded(role, observed, spec, state, problems):
            continue
        if not role.present:
            if observed is not None:
                _drop(role, spec, state, draft, problems)
            continue
        _check_settings(role, state, problems)
        if _password_unknown(role, observed, spec, state):
            unreadable.append(role.name)
        _present(role, observed, spec, state, draft, secrets.get(role.name))
    if unreadable:
        draft.warnings.append(
            "Stored passwords cannot be read by this login (pg_authid), so the passwords of existing roles were left "
            f"as they are: {', '.join(unreadable)}. Set update_password to 'always' once to change them."
        )
    _memberships(spec, state, draft, problems)
    return draft


def _guarded(role: RoleSpec, observed: Role | None, spec: AccessSpec, state: AccessState, problems: Problems) -> bool:
    if role.name in spec.unguarded_roles:
        return True
    if role.name == state.capabilities.user:
        problems.add(
            f"Role {role.name!r} is the one this task is connected as; it is left alone unless unguarded_roles names it"
        )
        return False
    if observed is not None and observed.superuser:
        problems.add(f"Role {role.name!r} is a superuser; it is left alone unless unguarded_roles names it")
        return False
    return True


def _check_settings(role: RoleSpec, state: AccessState, problems: Problems) -> None:
    for name in role.settings or {}:
        if "." not in name and state.settings is not None and name not in state.settings:
            problems.add(
                f"settings of role {role.name!r}: the server has no setting {name!r}{nearest(name, state.settings)}"
            )


def _password_unknown(role: RoleSpec, observed: Role | None, spec: AccessSpec, state: AccessState) -> bool:
    return (
        role.password is not None
        and observed is not None
        and spec.update_password == "changed"
        and not state.capabilities.pg_authid
    )


def _passwords(spec: AccessSpec, state: AccessState, verifier: Callable[[str], str]) -> dict[str, str]:
    """The verifiers that have to be stored, by role.

    Comparing or making one costs 4,096 rounds of SHA-256, during which Python lets other threads run.
    """

    def wanted(role: RoleSpec) -> str | None:
        observed = state.roles.get(role.name)
        if role.password is None:
            return None
        if observed is not None and spec.update_password != "always":
            if spec.update_password == "on_create" or not state.capabilities.pg_authid:
                return None
            if verifies(role.password, observed.verifier):
                return None
        return role.password if is_verifier(role.password) else verifier(role.password)

    with ThreadPoolExecutor() as pool:
        found = zip(spec.roles, pool.map(wanted, spec.roles))
        return {role.name: secret for role, secret in found if secret is not None}


def _present(
    role: RoleSpec,
    observed: Role | None,
    spec: AccessSpec,
    state: AccessState,
    draft: RolesDraft,
    secret: str | None,
) -> None:
    subject = f"role {role.name}"
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    words: list[str] = []
    values: list[Argument] = []
    for key, value in role.flags.items():
        have = observed.flags[key] if observed else key == "inherit"  # what CREATE ROLE gives
        if have != value:
            words.append(ROLE_FLAGS[key] if value else "NO" + ROLE_FLAGS[key])
            before[key], after[key] = str(have).lower(), str(value).lower()
    if role.connection_limit is not None and (observed is None or observed.connection_limit != role.connection_limit):
        words.append("CONNECTION LIMIT {}")
        values.append(Literal(role.connection_limit))
        after["connection_limit"] = str(role.connection_limit)
        before["connection_limit"] = str(observed.connection_limit) if observed else ""
    if role.valid_until is not None and (observed is None or (observed.valid_until or "infinity") != role.valid_until):
        words.append("VALID UNTIL {}")
        values.append(Literal(role.valid_until))
        after["valid_until"] = role.valid_until
        before["valid_until"] = (observed.valid_until or "infinity") if observed else ""
    options = "".join(" " + word for word in words)
    if observed is None:
        draft.create.append(Step(subject, Sql("CREATE ROLE {}" + options, (Ident(role.name), *values))))
    elif words:
        draft.alter.append(Step(subject, Sql("ALTER ROLE {}" + options, (Ident(role.name), *values))))
    if secret is not None:
        draft.passwords.append(Step(subject, Sql("ALTER ROLE {} PASSWORD {}", (Ident(role.name), Secret(secret)))))
        after["password"] = MASK
        before["password"] = "another" if state.capabilities.pg_authid else "unknown"
    _settings(role, observed, spec, draft, before, after)
    if observed is None:
        draft.changes.append(Change(subject, None, _text(after) or "present"))
    elif after:
        draft.changes.append(Change(subject, _text(before), _text(after)))


def _settings(
    role: RoleSpec,
    observed: Role | None,
    spec: AccessSpec,
    draft: RolesDraft,
    before: dict[str, str],
    after: dict[str, str],
) -> None:
    if role.settings is None:
        return
    have = {name: _comparable(name, value) for name, value in (observed.settings if observed else {}).items()}
    wanted = dict(role.settings)
    if spec.purge:
        wanted.update({name: None for name in sorted(have) if name not in wanted})
    for name, value in wanted.items():
        if have.get(name) != value:
            draft.settings.append(Step(f"role {role.name}", statements.role_setting(role.name, name, value)))
            before[name] = have.get(name) or "(unset)"
            after[name] = value if value is not None else "(unset)"


def _comparable(name: str, value: str) -> str:
    return join_list(split_list(value)) if name in LIST_SETTINGS else value


def _text(attributes: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in attributes.items())


def _drop(role: RoleSpec, spec: AccessSpec, state: AccessState, draft: RolesDraft, problems: Problems) -> None:
    name = role.name
    dependents = state.dependents.get(name)
    owned = dependents.owned if dependents else {}
    places = dependents.databases if dependents else ()
    if role.reassign_to is None:
        if owned:
            listed = "; ".join(
                f"{'in database ' + place if place else 'in the cluster'}: {', '.join(objects)}"
                for place, objects in owned.items()
            )
            problems.add(
                f"Role {name!r} owns objects and cannot be dropped ({listed}); say reassign_to to give them away"
            )
            return
        declared = {database.name for database in spec.databases}
        strange = [place for place in places if place is not None and place not in declared]
        if strange:
            problems.add(
                f"Role {name!r} holds privileges in databases that are not declared ({', '.join(strange)}) and cannot "
                "be dropped; declare them or say reassign_to"
            )
            return
    subject = f"role {name}"
    for place in places:
        if role.reassign_to is not None:
            reassign = Sql("REASSIGN OWNED BY {} TO {}", (Ident(name), Ident(role.reassign_to)))
            draft.drop.append(Step(subject, reassign, place))
        # Nothing is owned any more, so this takes away privileges only.
        draft.drop.append(Step(subject, Sql("DROP OWNED BY {}", (Ident(name),)), place))
    draft.drop.append(Step(subject, Sql("DROP ROLE {}", (Ident(name),))))
    draft.changes.append(Change(subject, "present", None))


# Memberships. From PostgreSQL 16 on a membership may be granted several times, by several grantors, each with its own
# options, and taking ADMIN away cascades to what the member has granted (PostgreSQL manual, GRANT and REVOKE).


def _memberships(spec: AccessSpec, state: AccessState, draft: RolesDraft, problems: Problems) -> None:
    options = state.capabilities.server_version >= MEMBERSHIP_OPTIONS_SINCE
    wanted = _wanted_memberships(spec, state, problems)
    managed = {role.name for role in spec.roles if role.present and role.member_of is not None}
    gone: set[Membership] = set()
    replaced: dict[Membership, Membership] = {}
    for grant in state.memberships:
        if grant.member not in managed:
            continue
        member = wanted.get((grant.role, grant.member))
        if member is None:
            if spec.purge and not spec.ignores(grant.role) and not _creators_own(grant, options):
                gone.add(grant)
            continue
        better = _with_options(grant, member, options)
        if better != grant:
            replaced[grant] = better
    kept = {replaced.get(grant, grant) for grant in state.memberships if grant not in gone}
    lost = _cascaded(kept, {*gone, *replaced}) if options else set()
    kept -= lost
    held = {(grant.role, grant.member) for grant in kept}
    for grant in sorted(gone):
        draft.memberships.append(_step(grant, _revoke(grant, "", options)))
    for grant in sorted(replaced):
        draft.memberships.extend(_replace(grant, replaced[grant], options))
    for pair, member in wanted.items():
        if pair not in held:
            draft.memberships.append(Step(f"membership of {pair[1]} in {pair[0]}", _grant(pair, member, options)))
    regrant: dict[tuple[str, str], MemberSpec] = {}
    for grant in sorted(lost):
        pair = (grant.role, grant.member)
        if pair not in wanted and pair not in held:
            known = regrant.get(pair, MemberSpec(grant.role, False, False, False))
            regrant[pair] = MemberSpec(
                grant.role, known.admin or grant.admin, known.inherit or grant.inherit, known.set or grant.set
            )
    for pair, member in regrant.items():
        draft.memberships.append(Step(f"membership of {pair[1]} in {pair[0]}", _grant(pair, member, options)))
    draft.changes.extend(_membership_changes(state, wanted, gone, replaced, options))
    cycle = find_cycle({*((grant.member, grant.role) for grant in kept), *((m, r) for r, m in wanted)})
    if cycle:
        problems.add(f"The memberships, with those that exist, form a circle: {' -> '.join(cycle)}")


def _wanted_memberships(spec: AccessSpec, state: AccessState, problems: Problems) -> dict[tuple[str, str], MemberSpec]:
    wanted: dict[tuple[str, str], MemberSpec] = {}
    for role in spec.roles:
        for member in role.member_of or ():
            given = [key for key in ("inherit", "set") if getattr(member, key) is not None]
            if given and state.capabilities.server_version < MEMBERSHIP_OPTIONS_SINCE:
                problems.add(f"member_of of role {role.name!r}: {' and '.join(given)} need PostgreSQL 16 or later")
            group = state.roles.get(member.role)
            if group is not None and group.superuser and member.role not in spec.unguarded_roles:
                problems.add(
                    f"member_of of role {role.name!r}: {member.role!r} is a superuser; unguarded_roles must name it"
                )
            if spec.purge and member.admin is None:
                member = replace(member, admin=False)
            wanted[(member.role, role.name)] = member
    return wanted


def _creators_own(grant: Membership, options: bool) -> bool:
    # What CREATE ROLE gives to a creator that is no superuser (PostgreSQL manual, 21.4): without it nobody but a
    # superuser could manage the new role. It confers no privilege of the role.
    return options and grant.admin and not grant.inherit and not grant.set


def _with_options(grant: Membership, member: MemberSpec, options: bool) -> Membership:
    better = grant if member.admin is None else grant._replace(admin=member.admin)
    if options and member.inherit is not None:
        better = better._replace(inherit=member.inherit)
    if options and member.set is not None:
        better = better._replace(set=member.set)
    return better


def _cascaded(kept: Iterable[Membership], weakened: Iterable[Membership]) -> set[Membership]:
    """The grants that go because their grantor no longer has ADMIN (PostgreSQL: plan_recursive_revoke)."""
    left = set(kept)
    lost: set[Membership] = set()
    pending = sorted({(grant.role, grant.member) for grant in weakened if grant.admin})
    while pending:
        role, holder = pending.pop()
        if any(grant.role == role and grant.member == holder and grant.admin for grant in left):
            continue
        for grant in [grant for grant in left if grant.role == role and grant.grantor == holder]:
            left.discard(grant)
            lost.add(grant)
            if grant.admin:
                pending.append((role, grant.member))
    return lost


def _step(grant: Membership, sql: Sql) -> Step:
    return Step(f"membership of {grant.member} in {grant.role}", sql)


def _revoke(grant: Membership, what: str, options: bool) -> Sql:
    if options:
        return Sql(
            "REVOKE " + what + "{} FROM {} GRANTED BY {} CASCADE",
            (Ident(grant.role), Ident(grant.member), Ident(grant.grantor)),
        )
    return Sql("REVOKE " + what + "{} FROM {}", (Ident(grant.role), Ident(grant.member)))


def _replace(grant: Membership, better: Membership, options: bool) -> list[Step]:
    steps = []
    if grant.admin and not better.admin:
        steps.append(_step(grant, _revoke(grant, "ADMIN OPTION FOR ", options)))
        grant = grant._replace(admin=False)
    if grant != better:
        steps.append(
            _step(
                grant,
                Sql(
                    f"GRANT {{}} TO {{}} WITH ADMIN {_word(better.admin)}, INHERIT {_word(better.inherit)}, "
                    f"SET {_word(better.set)} GRANTED BY {{}}",
                    (Ident(grant.role), Ident(grant.member), Ident(grant.grantor)),
                )
                if options
                else Sql("GRANT {} TO {} WITH ADMIN OPTION", (Ident(grant.role), Ident(grant.member))),
            )
        )
    return steps


def _grant(pair: tuple[str, str], member: MemberSpec, options: bool) -> Sql:
    given = []
    if options:
        for key in ("admin", "inherit", "set"):
            value = getattr(member, key)
            if value is not None and not (key == "admin" and value is False):
                given.append(f"{key.upper()} {_word(value)}")
    elif member.admin:
        given.append("ADMIN OPTION")
    tail = f" WITH {', '.join(given)}" if given else ""
    return Sql("GRANT {} TO {}" + tail, (Ident(pair[0]), Ident(pair[1])))


def _word(value: bool) -> str:
    return "TRUE" if value else "FALSE"


def _membership_changes(
    state: AccessState,
    wanted: Mapping[tuple[str, str], MemberSpec],
    gone: set[Membership],
    replaced: Mapping[Membership, Membership],
    options: bool,
) -> Iterable[Change]:
    before: dict[tuple[str, str], list[Membership]] = {}
    for grant in state.memberships:
        before.setdefault((grant.role, grant.member), []).append(grant)
    touched = {(grant.role, grant.member) for grant in {*gone, *replaced}} | {
        pair for pair in wanted if pair not in before
    }
    for pair in sorted(touched):
        have = before.get(pair, [])
        left = [replaced.get(grant, grant) for grant in have if grant not in gone]
        if not have:
            after: str | None = _options_text(wanted[pair].admin, wanted[pair].inherit, wanted[pair].set, options)
        else:
            after = _merged_text(left, options)
        yield Change(f"membership of {pair[1]} in {pair[0]}", _merged_text(have, options), after)


def _merged_text(grants: list[Membership], options: bool) -> str | None:
    if not grants:
        return None
    return _options_text(
        any(grant.admin for grant in grants),
        any(grant.inherit for grant in grants),
        any(grant.set for grant in grants),
        options,
    )


def _options_text(admin: bool | None, inherit: bool | None, may_set: bool | None, options: bool) -> str:
    given = {"admin": bool(admin)}
    if options:
        given.update({k: v for k, v in (("inherit", inherit), ("set", may_set)) if v is not None})
    return _text({key: str(value).lower() for key, value in given.items()})


def self_grants(needed: Iterable[str], created: set[str], state: AccessState, problems: Problems) -> dict[str, Step]:
    """Memberships that a connected role without superuser needs to act as owners and creators, by these.

    A role that is no superuser grants on an object only as a member of its owner. With CREATEROLE (and ADMIN on
    the role from PostgreSQL 16 on) it may make itself a member.
    """
    steps: dict[str, Step] = {}
    if state.capabilities.superuser:
        return steps
    options = state.capabilities.server_version >= MEMBERSHIP_OPTIONS_SINCE
    me = state.roles[state.capabilities.user]
    for name in sorted(set(needed) - {state.capabilities.user}):
        role = state.roles.get(name)
        if name not in created and role is not None and role.usable and role.settable:
            continue
        if name not in created and role is not None:
            admin = any(g.role == name and g.member == state.capabilities.user and g.admin for g in state.memberships)
            if role.superuser or not (admin or (not options and me.flags["createrole"])):
                problems.add(
                    f"{state.capabilities.user!r} is no superuser and cannot act as {name!r}, whose objects have "
                    f"to change; connect as a member of {name!r}, or as a superuser"
                )
                continue
        tail = " WITH INHERIT TRUE, SET TRUE" if options else ""
        steps[name] = Step(
            f"membership of {state.capabilities.user} in {name}",
            Sql("GRANT {} TO {}" + tail, (Ident(name), Ident(state.capabilities.user))),
        )
    return steps
