# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be declared, and how it is delivered where."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._credentials.spec import (
    Credential,
    Delivery,
    credentials_from,
    delivery,
    drop_in,
    drop_in_text,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError


def item(**given: Any) -> dict[str, Any]:
    return {"name": "url", "state": "present", "delivery": "credential", "value": "canary", **given}


def test_a_credential_never_shows_its_value() -> None:
    (found,) = credentials_from([item()])
    assert found.value == "canary"
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (item(name="a/b"), "'a/b' cannot be the name"),
        (item(name=".a"), "cannot be the name"),
        (item(name="a:b"), "cannot be the name"),
        (item(name=""), "cannot be the name"),
        (item(name="x" * 129), "cannot be the name"),
        (item(units=["payments"]), "'payments' is no unit"),
        (item(units=["payments.timer"]), "'payments.timer' is no unit"),
        (item(units=["../x.service"]), "is no unit"),
        (item(units=["a.service", "a.service"]), "named twice"),
        (item(path="relative"), "no absolute path"),
        (item(path="/a/../b"), "no absolute path"),
        (item(path="/a b"), "no absolute path"),
        (item(path="/a/"), "no absolute path"),
        (item(owner="app"), "an owner is for delivery as a file"),
        (item(value=None), "has no value"),
        (item(value=""), "is empty"),
        (item(generate=40), "has a value and is to be generated"),
        (item(value=None, generate=19), "19 characters are too few"),
        (item(value="x" * (1024 * 1024 + 1)), "larger than"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name_and_without_its_value(given: dict[str, Any], says: str) -> None:
    with pytest.raises(DbopsError, match="Nothing was changed") as caught:
        credentials_from([given])
    assert says in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("second", "says"),
    [(item(), "name 'url' is declared 2 times"), (item(name="b", path="/etc/x"), "path '/etc/x' is declared 2 times")],
)
def test_the_same_thing_twice_is_refused(second: dict[str, Any], says: str) -> None:
    with pytest.raises(DbopsError) as caught:
        credentials_from([item(path="/etc/x"), second])
    assert says in str(caught.value)


def test_what_is_to_go_needs_no_value() -> None:
    (found,) = credentials_from([item(state="absent", value=None)])
    assert not found.present


SEALED = "/etc/credstore.encrypted/url"
PLAIN = "/etc/dbops-postgres/secrets/url"


@pytest.mark.parametrize(
    ("credential", "systemd", "sealed", "path", "directive", "reason"),
    [
        (Credential("url"), 257, True, SEALED, "LoadCredentialEncrypted", ""),
        (Credential("url"), 250, True, SEALED, "LoadCredentialEncrypted", ""),
        (Credential("url", path="/srv/x"), 252, True, "/srv/x", "LoadCredentialEncrypted", ""),
        (Credential("url"), 249, False, PLAIN, "LoadCredential", "systemd 249 is older than 250"),
        (Credential("url"), 247, False, PLAIN, "LoadCredential", "systemd 247 is older than 250"),
        (Credential("url"), 246, False, PLAIN, "", "systemd 246 is older than 250"),
        (Credential("url"), None, False, PLAIN, "", "there is no systemd on this host"),
        (Credential("url", file=True), 257, False, PLAIN, "", "it is declared as a file"),
        (Credential("url", file=True, path="/srv/x"), 257, False, "/srv/x", "", "it is declared as a file"),
    ],
)
def test_delivery(
    credential: Credential, systemd: int | None, sealed: bool, path: str, directive: str, reason: str
) -> None:
    how = delivery(credential, systemd)
    assert (how.sealed, how.path, how.mode, how.directive) == (sealed, path, 0o600 if sealed else 0o400, directive)
    assert how.reason.startswith(reason)
    assert bool(how.reason) is not how.sealed


@pytest.mark.parametrize(
    ("unit", "section"), [("a.service", "Service"), ("a@b.service", "Service"), ("a.socket", "Socket")]
)
def test_the_drop_in_loads_it_in_the_section_of_the_unit(unit: str, section: str) -> None:
    how = Delivery(True, SEALED, 0o600, "LoadCredentialEncrypted")
    assert drop_in("url", unit) == f"/etc/systemd/system/{unit}.d/50-credential-url.conf"
    assert drop_in_text("url", unit, how).splitlines()[1:] == [f"[{section}]", f"LoadCredentialEncrypted=url:{SEALED}"]


def test_no_drop_in_for_what_the_unit_reads_itself() -> None:
    assert drop_in_text("url", "a.service", Delivery(False, PLAIN, 0o400, "", "x")) == ""
