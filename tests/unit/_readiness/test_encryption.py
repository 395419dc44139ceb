# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""S-1: a truth table of what data lies on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge import encryption
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import Outcome
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Host,
    Luks,
    Observed,
    Place,
    Storage,
    Thresholds,
    Unseen,
)
from tests.unit._readiness.good import VOLUME, good

assert isinstance(VOLUME.luks, Luks)
LUKS: Luks = VOLUME.luks
WANT = Thresholds()


def seen(storage: Storage) -> Observed:
    """A good server on this storage."""
    observed = good()
    assert isinstance(observed.host, Host)
    return replace(observed, host=replace(observed.host, storage=storage))


def outcomes(storage: Storage) -> dict[str, Outcome]:
    """What all three probes say, by subject."""
    observed = seen(storage)
    probes = (
        encryption.data_is_encrypted,
        encryption.volumes_can_be_opened_and_recovered,
        encryption.swap_is_encrypted,
    )
    return {outcome.subject: outcome for judge in probes for outcome in judge(observed, WANT)}


def on(luks: Luks) -> Storage:
    """The data directory on this volume."""
    return Storage({"data directory": replace(VOLUME, luks=luks)})


def test_a_good_volume_passes() -> None:
    said = outcomes(Storage({"data directory": VOLUME, "WAL": VOLUME}))
    assert {outcome.status for outcome in said.values()} == {Status.PASS}
    assert sorted(said) == [
        "WAL",
        "boot key of pgdata_crypt",
        "data directory",
        "header backup of pgdata_crypt",
        "keyslots of pgdata_crypt",
        "swap",
    ]


@pytest.mark.parametrize(
    ("storage", "subject", "status", "says"),
    [
        (
            Storage({"data directory": VOLUME, "WAL": Place("/wal", "/dev/sdb", None)}),
            "WAL",
            Status.FAIL,
            "/wal lies on /dev/sdb, which is not encrypted",
        ),
        (on(replace(LUKS, kind="LUKS1")), "data directory", Status.FAIL, "which is LUKS1"),
        (on(replace(LUKS, kind="PLAIN")), "data directory", Status.FAIL, "which is PLAIN"),
        (
            on(replace(LUKS, key_in_clear=True, key_file="/root/key")),
            "boot key of pgdata_crypt",
            Status.FAIL,
            "/root/key, a key in clear on an unencrypted disk",
        ),
        (on(replace(LUKS, keyslots=1)), "keyslots of pgdata_crypt", Status.FAIL, "1 in use"),
        (on(replace(LUKS, header_backup=False)), "header backup of pgdata_crypt", Status.FAIL, "none is known"),
        (Storage({}, ("/swap.img",)), "swap", Status.FAIL, "/swap.img"),
        (
            Storage({"data directory": Unseen(Status.NOT_TESTED, "lies on overlay")}),
            "data directory",
            Status.NOT_TESTED,
            "lies on overlay",
        ),
        (
            Storage({"data directory": replace(VOLUME, luks=Unseen(Status.ERROR, "cannot read the header"))}),
            "data directory",
            Status.ERROR,
            "cannot read the header",
        ),
    ],
)
def test_what_is_wrong(storage: Storage, subject: str, status: Status, says: str) -> None:
    outcome = outcomes(storage)[subject]
    assert outcome.status is status
    assert says in outcome.evidence
    assert bool(outcome.remedy) is (status is Status.FAIL)


def test_a_missing_recovery_key_is_less_than_data_in_clear() -> None:
    assert outcomes(on(replace(LUKS, keyslots=1)))["keyslots of pgdata_crypt"].severity is Severity.HIGH
    assert outcomes(Storage({"WAL": Place("/wal", "/dev/sdb", None)}))["WAL"].severity is None
