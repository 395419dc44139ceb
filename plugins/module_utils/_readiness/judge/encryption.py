# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""S-1: the data lies on LUKS2, which opens without a key in clear, has a second keyslot and a header backup."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import (
    Outcome,
    fails,
    holds,
    none_of,
    probe,
)
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Luks,
    Observed,
    Place,
    Seen,
    Thresholds,
    Unseen,
    look,
)

_ROLE = "role luks_volume; an existing data directory: playbook encrypt_existing"


@probe("S-1", "encryption at rest")
def data_is_encrypted(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    for subject, place in look(look(seen.host).storage).places.items():
        yield _place(subject, place)


def _place(subject: str, seen: Seen[Place]) -> Outcome:
    if isinstance(seen, Unseen):
        return Outcome(subject, seen.status, seen.reason)
    if seen.luks is None:
        return fails(subject, f"{seen.path} lies on {seen.device}, which is not encrypted", f"Encrypt it ({_ROLE}).")
    if isinstance(seen.luks, Unseen):
        return Outcome(subject, seen.luks.status, seen.luks.reason)
    evidence = f"{seen.path} lies on {seen.luks.mapping}, which is {seen.luks.kind}"
    return holds(seen.luks.kind == "LUKS2", subject, evidence, "Convert it: cryptsetup convert --type luks2.")


@probe("S-1", "keys of the volume")
def volumes_can_be_opened_and_recovered(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    places = look(look(seen.host).storage).places.values()
    found = [place.luks for place in places if isinstance(place, Place) and isinstance(place.luks, Luks)]
    for luks in {luks.mapping: luks for luks in found if luks.kind == "LUKS2"}.values():
        name = luks.mapping
        yield holds(
            not luks.key_in_clear,
            f"boot key of {name}",
            f"crypttab: {luks.key_file}" + (", a key in clear on an unencrypted disk" if luks.key_in_clear else ""),
            "Seal it for the host with systemd-creds (role luks_volume, boot: credential).",
        )
        yield holds(
            luks.keyslots >= 2,
            f"keyslots of {name}",
            f"{luks.keyslots} in use",
            "Add a recovery key (role luks_volume, recovery_recipients), so that one lost key is not lost data.",
            Severity.HIGH,
        )
        yield holds(
            luks.header_backup,
            f"header backup of {name}",
            "there is one on this host" if luks.header_backup else "none is known on this host",
            "Make one (role luks_volume), or waive this if it is kept elsewhere: a damaged header loses the volume.",
            Severity.HIGH,
        )


@probe("S-1", "swap")
def swap_is_encrypted(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    clear = look(look(seen.host).storage).swap_in_clear
    yield from none_of(
        clear,
        "swap",
        "no swap in clear",
        "swap in clear may hold pages of the database",
        "Turn it off (swapoff), or put it on an encrypted volume.",
    )
