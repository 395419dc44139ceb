# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the declared credentials with those of the host: what will be done, as actions and as a diff. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible_collections.dbops.postgres.plugins.module_utils._credentials import spec
from ansible_collections.dbops.postgres.plugins.module_utils._credentials.spec import Credential, Delivery
from ansible_collections.dbops.postgres.plugins.module_utils._credentials.state import Host, Stored
from ansible_collections.dbops.postgres.plugins.module_utils._plan import MASK, Change, DbopsError, Plan, Secret


@dataclass(frozen=True)
class Write:
    """Put a credential into a file. ``value`` None: ``generate`` random characters."""

    name: str
    how: Delivery
    owner: str
    group: str
    value: Secret | None
    generate: int = 0

    def __str__(self) -> str:
        return f"{'seal' if self.how.sealed else 'write'} {self.how.path}"


@dataclass(frozen=True)
class Attributes:
    """Mend mode and owner of a file."""

    path: str
    mode: int
    owner: str
    group: str

    def __str__(self) -> str:
        return f"set mode {self.mode:04o} and owner {self.owner}:{self.group} of {self.path}"


@dataclass(frozen=True)
class DropIn:
    """Write the file that gives a unit its credential."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"write {self.path}"


@dataclass(frozen=True)
class Remove:
    """Remove a file."""

    path: str

    def __str__(self) -> str:
        return f"remove {self.path}"


@dataclass(frozen=True)
class CredentialPlan:
    """What will be done.

    :param writes: credentials, before the units that load them know of it.
    :param others: attributes, drop-ins and removals, in this order.
    :param units: whose credentials change, so they have to start again to see it.
    :param changes: for the diff.
    """

    writes: tuple[Write, ...] = ()
    others: tuple[Attributes | DropIn | Remove, ...] = ()
    units: tuple[str, ...] = ()
    changes: tuple[Change, ...] = field(default=())

    @property
    def changed(self) -> bool:
        """True when there is anything to do."""
        return bool(self.writes or self.others)

    @property
    def reloads(self) -> bool:
        """Whether systemd has to read its units again."""
        return any("/systemd/system/" in item.path for item in self.others)

    @property
    def actions(self) -> list[str]:
        """What will be done in order, without secrets."""
        reload = ["systemctl daemon-reload"] if self.reloads else []
        return [*map(str, self.writes), *map(str, self.others), *reload]

    def diff(self) -> dict[str, str]:
        """The same, per object."""
        return Plan(changes=self.changes).diff()


def plan(items: Sequence[Credential], host: Host) -> CredentialPlan:
    """What makes the declared credentials true on this host.

    :raises DbopsError: a generated credential is there but cannot be opened: a new one would lock somebody out.
    """
    parts = [_present(item, host) if item.present else _absent(item, host) for item in items]
    return CredentialPlan(
        writes=tuple(write for part in parts for write in part.writes),
        others=tuple(other for part in parts for other in part.others),
        units=tuple(sorted({unit for part in parts for unit in part.units})),
        changes=tuple(change for part in parts for change in part.changes),
    )


def _present(item: Credential, host: Host) -> CredentialPlan:
    how = spec.delivery(item, host.systemd)
    there = host.stored.get(how.path)
    elsewhere = {path: found for path, found in _all_stored(item, host).items() if path != how.path}
    current = there or next(iter(elsewhere.values()), None)
    if item.generate and current is not None and current.value is None:
        raise DbopsError(
            f"Credential {item.name!r} is there but cannot be opened: {current.problem}",
            "A new one would not be what its users know: restore this host's credential key, or remove the file.",
        )
    wanted = item.value if item.value is not None else current.value if current else None
    writes: tuple[Write, ...] = ()
    others: list[Attributes | DropIn | Remove] = []
    if there is None or there.value is None or there.value != wanted:
        secret = None if wanted is None else Secret(wanted)
        writes = (Write(item.name, how, item.owner, item.group, secret, item.generate),)
    elif (there.mode, there.owner, there.group) != (how.mode, item.owner, item.group):
        others.append(Attributes(how.path, how.mode, item.owner, item.group))
    changes = [_change(item, how, there, bool(writes))]
    texts = {spec.drop_in(item.name, unit): spec.drop_in_text(item.name, unit, how) for unit in item.units}
    texts = {path: text for path, text in texts.items() if text}
    drop_ins = _drop_ins(item, host)
    others += [DropIn(path, text) for path, text in texts.items() if drop_ins.get(path) != text]
    others += [Remove(path) for path in sorted(set(drop_ins) - set(texts))]
    others += [Remove(path) for path in elsewhere]
    changes += [_file_change(path, drop_ins.get(path), texts.get(path)) for path in sorted({*texts, *drop_ins})]
    changes += [Change(path, f"a copy of credential {item.name}", None) for path in elsewhere]
    touched = {change.subject for change in changes if change.before != change.after}
    units = item.units if writes else tuple(u for u in item.units if spec.drop_in(item.name, u) in touched)
    return CredentialPlan(writes, tuple(others), units, tuple(c for c in changes if c.before != c.after))


def _absent(item: Credential, host: Host) -> CredentialPlan:
    stored, drop_ins = _all_stored(item, host), _drop_ins(item, host)
    changes = [Change(f"credential {item.name}", f"in {path}", None) for path in stored]
    changes += [_file_change(path, text, None) for path, text in drop_ins.items()]
    units = {path[len(spec.UNIT_DIRECTORY) + 1 :].split(".d/")[0] for path in drop_ins}
    # The units forget the credential before it goes, so that none of them fails to start in between.
    return CredentialPlan((), tuple(Remove(path) for path in [*drop_ins, *stored]), tuple(units), tuple(changes))


def _all_stored(item: Credential, host: Host) -> dict[str, Stored]:
    sealed, plain = spec.delivery(item, spec.SEALED_SINCE).path, spec.delivery(item, None).path
    return {path: host.stored[path] for path in (sealed, plain) if path in host.stored}


def _drop_ins(item: Credential, host: Host) -> dict[str, str]:
    suffix = spec.drop_in(item.name, "x").rsplit("/", 1)[1]
    return {path: text for path, text in sorted(host.drop_ins.items()) if path.endswith(f"/{suffix}")}


def _change(item: Credential, how: Delivery, there: Stored | None, new_value: bool) -> Change:
    def text(sealed: bool, mode: int, owner: str, group: str, value: str) -> str:
        return f"{'sealed' if sealed else 'file'} {how.path} mode {mode:04o} {owner}:{group} value {value}"

    before = None
    if there is not None:
        value = MASK if there.value is not None else "that cannot be opened"
        before = text(how.sealed, there.mode, there.owner, there.group, value)
    after = text(how.sealed, how.mode, item.owner, item.group, f"{MASK} (new)" if new_value else MASK)
    return Change(f"credential {item.name}", before, after)


def _file_change(path: str, before: str | None, after: str | None) -> Change:
    def line(text: str | None) -> str | None:
        return None if text is None else text.strip().rsplit("\n", 1)[-1]

    if before is not None and after is not None and before != after and line(before) == line(after):
        return Change(path, "other text", line(after))
    return Change(path, line(before), line(after))
