# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared against stored: every transition once, then as properties."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._credentials.plan import DropIn, Remove, plan
from ansible_collections.dbops.postgres.plugins.module_utils._credentials.spec import (
    Credential,
    delivery,
    drop_in,
    drop_in_text,
)
from ansible_collections.dbops.postgres.plugins.module_utils._credentials.state import Host, Stored
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

URL = Credential("url", value="canary", units=("app.service",))
SEALED = "/etc/credstore.encrypted/url"
PLAIN = "/etc/dbops-postgres/secrets/url"
DROP_IN = drop_in("url", "app.service")


def host_with(item: Credential, systemd: int | None = 257) -> Host:
    """A host on which ``item`` is as declared."""
    how = delivery(item, systemd)
    texts = {drop_in(item.name, unit): drop_in_text(item.name, unit, how) for unit in item.units}
    value = item.value if item.value is not None else "generated"
    return Host(
        systemd,
        {how.path: Stored(value, how.mode, item.owner, item.group)},
        {path: text for path, text in texts.items() if text},
    )


def test_on_an_empty_host_it_is_sealed_before_its_unit_knows_of_it() -> None:
    todo = plan([URL], Host(257))
    assert todo.actions == [f"seal {SEALED}", f"write {DROP_IN}", "systemctl daemon-reload"]
    assert todo.units == ("app.service",)
    assert todo.diff() == {
        "before": "",
        "after": f"credential url: sealed {SEALED} mode 0600 root:root value ******** (new)\n"
        f"{DROP_IN}: LoadCredentialEncrypted=url:{SEALED}\n",
    }


def test_a_new_value_replaces_the_sealed_file_only() -> None:
    host = host_with(replace(URL, value="other"))
    todo = plan([URL], host)
    assert todo.actions == [f"seal {SEALED}"]
    assert todo.units == ("app.service",)
    assert "(new)" in todo.diff()["after"]
    assert "(new)" not in todo.diff()["before"]


def test_what_cannot_be_opened_is_sealed_again_and_said() -> None:
    host = replace(host_with(URL), stored={SEALED: Stored(None, problem="wrong key")})
    todo = plan([URL], host)
    assert todo.actions == [f"seal {SEALED}"]
    assert "cannot be opened" in todo.diff()["before"]


def test_what_cannot_be_opened_is_never_generated_again() -> None:
    item = Credential("url", generate=40)
    with pytest.raises(DbopsError, match=r"wrong key.*Nothing was changed"):
        plan([item], Host(257, {SEALED: Stored(None, problem="wrong key")}))


def test_what_was_generated_is_kept() -> None:
    item = Credential("url", generate=40)
    assert not plan([item], host_with(item)).changed
    assert plan([item], Host(257)).writes[0].value is None


@pytest.mark.parametrize(
    "stored", [Stored("canary", 0o644), Stored("canary", owner="app"), Stored("canary", group="app")]
)
def test_a_wrong_mode_or_owner_is_mended_without_a_restart(stored: Stored) -> None:
    todo = plan([URL], replace(host_with(URL), stored={SEALED: stored}))
    assert todo.actions == [f"set mode 0600 and owner root:root of {SEALED}"]
    assert todo.units == ()


def test_a_unit_that_is_no_longer_declared_loses_it() -> None:
    other = drop_in("url", "old.service")
    host = host_with(URL)
    todo = plan([URL], replace(host, drop_ins={**host.drop_ins, other: "x"}))
    assert todo.actions == [f"remove {other}", "systemctl daemon-reload"]
    assert todo.diff() == {"before": f"{other}: x\n", "after": ""}


def test_a_drop_in_of_another_credential_stays() -> None:
    host = host_with(URL)
    foreign = "/etc/systemd/system/app.service.d/50-credential-another_url.conf"
    assert not plan([URL], replace(host, drop_ins={**host.drop_ins, foreign: "x"})).changed


def test_a_newer_systemd_moves_the_plain_file_into_a_sealed_one() -> None:
    item = Credential("url", generate=40, units=("app.service",))
    old = host_with(item, 249)
    todo = plan([item], replace(old, systemd=252))
    assert todo.actions == [f"seal {SEALED}", f"write {DROP_IN}", f"remove {PLAIN}", "systemctl daemon-reload"]
    assert todo.writes[0].value is not None
    assert todo.writes[0].value.value == "generated"


def test_what_goes_is_taken_from_its_units_first() -> None:
    todo = plan([replace(URL, present=False, value=None)], host_with(URL))
    assert todo.others == (Remove(DROP_IN), Remove(SEALED))
    assert todo.units == ("app.service",)
    assert not plan([replace(URL, present=False, value=None)], Host(257)).changed


credentials = st.builds(
    Credential,
    name=st.sampled_from(["url", "a"]),
    present=st.booleans(),
    value=st.sampled_from(["canary1", "canary2"]),
    units=st.lists(st.sampled_from(["a.service", "b.socket"]), unique=True).map(tuple),
    file=st.booleans(),
)


@given(credentials, credentials, st.sampled_from([None, 246, 249, 257]), st.sampled_from([None, 246, 249, 257]))
def test_after_any_plan_nothing_is_left_to_do_and_no_secret_shows(
    first: Credential, item: Credential, before: int | None, systemd: int | None
) -> None:
    first = replace(first, name=item.name)
    host = replace(host_with(first, before), systemd=systemd)
    todo = plan([item], host)
    assert "canary" not in repr(todo) + str(todo.actions) + str(todo.diff())
    stored, drop_ins = dict(host.stored), dict(host.drop_ins)
    for write in todo.writes:
        assert write.value is not None
        stored[write.how.path] = Stored(write.value.value, write.how.mode, write.owner, write.group)
    for other in todo.others:
        if isinstance(other, DropIn):
            drop_ins[other.path] = other.text
        elif isinstance(other, Remove):
            stored.pop(other.path, None)
            drop_ins.pop(other.path, None)
        else:
            stored[other.path] = replace(stored[other.path], mode=other.mode, owner=other.owner, group=other.group)
    assert not plan([item], replace(host, stored=stored, drop_ins=drop_ins)).changed
    assert todo.changed or todo.diff() == {"before": "", "after": ""}
