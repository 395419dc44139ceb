# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From one access list to another: what has to be granted and revoked, as PostgreSQL would carry it out.

Everything is done as the owner of the object, because that is whom a superuser or a member of the owner grants as
(PostgreSQL manual, GRANT: "performed as though issued by the owner"). An owner cannot revoke what a holder of a grant
option has granted; but when the owner takes that option away with CASCADE, the grants that rest on it go too. So
grant options go first, then plain revokes, then grants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._access.state import Acl, AclItem, Pair

NOTHING: frozenset[Pair] = frozenset()


@dataclass(frozen=True)
class AclChange:
    """What to do to one access list, in this order.

    :param lend: grant with grant option, so that the next step has something to take away (columns only).
    :param cascade: revoke the grant option with CASCADE.
    :param revoke: revoke the privilege.
    :param grant: grant the privilege.
    :param restore: grant it with grant option, to a role that is left as it was but lost it to ``cascade``.
    :param after: the resulting list.
    """

    lend: frozenset[Pair]
    cascade: frozenset[Pair]
    revoke: frozenset[Pair]
    grant: frozenset[Pair]
    restore: frozenset[Pair]
    after: Acl

    @property
    def any(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.lend or self.cascade or self.revoke or self.grant or self.restore)


def change(
    acl: Acl,
    owner: str,
    wanted: frozenset[Pair],
    *,
    purge: bool,
    exempt: Callable[[str], bool],
    parent: AclChange | None = None,
) -> AclChange:
    """How ``acl`` becomes what is wanted.

    :param wanted: the declared privileges, without grant option.
    :param purge: whether whatever else is there goes; what ``exempt`` roles and the owner hold is kept.
    :param parent: for a column, the change of its table, which happens between ``cascade`` and ``revoke``: a
        privilege that is revoked on a table is revoked on its columns (PostgreSQL manual, REVOKE).
    """
    if not purge:
        missing = wanted - {(item.grantee, item.privilege) for item in acl}
        return AclChange(NOTHING, NOTHING, NOTHING, missing, NOTHING, _granted(acl, owner, missing, grantable=False))

    def spared(grantee: str) -> bool:
        return grantee == owner or exempt(grantee)

    kept: dict[Pair, bool] = {}
    for item in acl:
        if spared(item.grantee):
            pair = (item.grantee, item.privilege)
            kept[pair] = kept.get(pair, False) or (item.grantable and item.grantee != owner)

    lend, cascade = _options_to_take(acl, owner, wanted, spared)
    state = _without_options(_granted(acl, owner, lend, grantable=True), owner, cascade)
    if parent is not None:
        state = _without_options(state, owner, parent.cascade)
        state = frozenset(
            item for item in state if item.grantor != owner or (item.grantee, item.privilege) not in parent.revoke
        )
    revoke = frozenset(
        (item.grantee, item.privilege)
        for item in state
        if item.grantor == owner and not spared(item.grantee) and (item.grantee, item.privilege) not in wanted
    )
    state = frozenset(item for item in state if item.grantor != owner or (item.grantee, item.privilege) not in revoke)
    have = {(item.grantee, item.privilege) for item in state}
    options = {(item.grantee, item.privilege) for item in state if item.grantable}
    restore = frozenset(pair for pair, option in kept.items() if option and pair not in options)
    grant = (wanted | kept.keys()) - have - restore
    state = _granted(_granted(state, owner, grant, grantable=False), owner, restore, grantable=True)
    return AclChange(lend, cascade, revoke, frozenset(grant), restore, state)


def _options_to_take(
    acl: Acl, owner: str, wanted: frozenset[Pair], spared: Callable[[str], bool]
) -> tuple[frozenset[Pair], frozenset[Pair]]:
    holders = {(i.grantee, i.privilege) for i in acl if i.grantable and i.grantor == owner and i.grantee != owner}
    take = {pair for pair in holders if not spared(pair[0])}
    lend: set[Pair] = set()
    for item in acl:
        if item.grantor == owner or spared(item.grantee):
            continue
        here = any(i.grantee == item.grantor and i.privilege == item.privilege and i.grantable for i in acl)
        declared = not item.grantable and (item.grantee, item.privilege) in wanted
        if declared and (here or spared(item.grantor)):
            continue  # it stays, or it goes with its grantor's option and the owner grants it anew
        if not declared:
            # Every grant option on this privilege has to go, to be sure of the one that this grant rests on.
            take |= {pair for pair in holders if pair[1] == item.privilege}
        if not here:
            # On a column the grantor's option may be that on the table, which does not cascade to here: lend it one.
            lend.add((item.grantor, item.privilege))
    return frozenset(lend), frozenset(take | lend)


def _without_options(acl: Acl, owner: str, lost: Iterable[Pair]) -> Acl:
    """REVOKE GRANT OPTION FOR ... CASCADE by the owner (PostgreSQL: recursive_revoke in acl.c)."""
    taken = {pair for pair in lost if AclItem(pair[0], owner, pair[1], True) in acl}
    items = {
        item._replace(grantable=False) if item.grantor == owner and (item.grantee, item.privilege) in taken else item
        for item in acl
    }
    pending = sorted(taken)
    while pending:
        holder, privilege = pending.pop()
        if any(i.grantee == holder and i.privilege == privilege and i.grantable for i in items):
            continue
        for item in [i for i in items if i.grantor == holder and i.privilege == privilege and holder != owner]:
            items.discard(item)
            if item.grantable:
                pending.append((item.grantee, privilege))
    return frozenset(items)


def _granted(acl: Acl, owner: str, pairs: Iterable[Pair], *, grantable: bool) -> Acl:
    added = {AclItem(grantee, owner, privilege, grantable) for grantee, privilege in pairs}
    replaced = {item._replace(grantable=False) for item in added} if grantable else set()
    return frozenset((acl - replaced) | added)


def reowned(acl: Acl, before: str, after: str) -> Acl:
    """The list after ALTER ... OWNER TO: the new owner takes the old one's place (PostgreSQL: aclnewowner)."""
    items: dict[tuple[str, str, str], bool] = {}
    for item in acl:
        key = (
            after if item.grantee == before else item.grantee,
            after if item.grantor == before else item.grantor,
            item.privilege,
        )
        items[key] = items.get(key, False) or item.grantable
    return frozenset(AclItem(*key, grantable) for key, grantable in items.items())


def privilege_sets(pairs: Iterable[Pair], order: tuple[str, ...]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Pairs as few (privileges, grantees): grantees with the same privileges share a statement."""
    by_grantee: dict[str, set[str]] = {}
    for grantee, privilege in pairs:
        by_grantee.setdefault(grantee, set()).add(privilege)
    by_set: dict[tuple[str, ...], list[str]] = {}
    for grantee in sorted(by_grantee):
        words = tuple(word for word in order if word in by_grantee[grantee])
        by_set.setdefault(words, []).append(grantee)
    return [(words, tuple(grantees)) for words, grantees in sorted(by_set.items())]


def described(acl: Acl, owner: str, order: tuple[str, ...]) -> str:
    """A list as a person reads it: ``app=SELECT,INSERT ro=SELECT*``; ``*`` is a grant option, the owner is left out."""
    words: dict[str, dict[str, bool]] = {}
    for item in acl:
        if item.grantee != owner:
            held = words.setdefault(item.grantee, {})
            held[item.privilege] = held.get(item.privilege, False) or item.grantable
    held_by = (f"{grantee or 'PUBLIC'}={','.join(_marked(words[grantee], order))}" for grantee in sorted(words))
    return " ".join(held_by) or "(none)"


def _marked(held: Mapping[str, bool], order: tuple[str, ...]) -> list[str]:
    return [word + ("*" if held[word] else "") for word in order if word in held]
