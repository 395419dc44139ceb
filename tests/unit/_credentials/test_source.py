# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared secrets: what is refused, what is filled in, what is delivered where."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._credentials.source import (
    KINDS,
    check_items,
    check_source,
    deliveries,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

VALUE = {"type": "value", "value": "canary"}
AWS = {"type": "aws_secretsmanager", "secret": "prod/payments"}
HOST = {"type": "host"}
URL = {"host": "db1", "database": "payments"}
ROTATE = {"role": "payments_prod_app"}


def item(**given: Any) -> dict[str, Any]:
    return {"name": "url", "source": VALUE, **given}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (item(name="a b"), "this is no name"),
        ({"name": "url"}, "has no source"),
        (item(colour="red"), "has colour, which is unknown"),
        (item(source={"type": "etcd"}), "has no known type"),
        (item(source={}), "has no known type"),
        (item(source={"type": "hashi_vault", "path": "x"}), "lacks field"),
        (item(source={**AWS, "field": "x"}), "has field, which is unknown"),
        (item(generate=40), "cannot be generated"),
        (item(rotate=ROTATE, url=URL), "read-only"),
        (item(source=AWS, rotate={"grace_seconds": 1}, url=URL), "rotate lacks role"),
        (item(source=AWS, rotate=ROTATE), "url lacks host, database"),
        (item(source=AWS, rotate=ROTATE, url={**URL, "user": "x"}), "its logins take turns"),
        (item(source=AWS, rotate={**ROTATE, "x": 1}, url=URL), "rotate has x"),
        (item(url=URL), "url lacks user"),
        (item(source=HOST, url={**URL, "user": "x"}), "cannot become part of a URL"),
        (item(source=HOST, consumers=[{"unit": "a.service", "host": "app1"}]), "is on another one"),
        (item(consumers=[{"host": "app1"}]), "neither unit nor path"),
        (item(consumers=[{"unit": "a.service", "apply": "kill"}]), "apply is 'kill'"),
        (item(consumers=[{"unit": "a.service", "apply": "reload"}]), "loads credentials at start only"),
        (item(consumers=[{"unit": "a.service", "mode": "0644"}]), "has mode, which is unknown"),
    ],
)
def test_what_cannot_be_meant_is_refused_without_its_value(given: dict[str, Any], says: str) -> None:
    with pytest.raises(DbopsError) as caught:
        check_items([given], 90)
    assert says in str(caught.value)
    assert "canary" not in str(caught.value)


def test_the_same_name_twice_is_refused() -> None:
    with pytest.raises(DbopsError, match="'url' is declared 2 times"):
        check_items([item(), item()], 90)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_source_accepts_what_it_needs_and_may_have(kind: str) -> None:
    keys = (*KINDS[kind].needs, *KINDS[kind].may)
    assert check_source({"type": kind, **dict.fromkeys(keys, "x")}) == KINDS[kind]


def test_what_is_left_out_is_filled_in() -> None:
    (found,) = check_items([item(source=AWS, rotate=ROTATE, url=URL, consumers=[{"unit": "a.service"}])], 30)
    assert found["max_age_days"] == 30
    assert found["rotate"] == {"role": "payments_prod_app", "grace_seconds": 3600}
    assert found["url"] == {**URL, "port": 5432, "parameters": {"sslmode": "verify-full"}}
    assert (found["consumers"][0]["apply"], found["consumers"][0]["prove"]) == ("restart", True)
    (found,) = check_items([item(source=HOST, max_age_days=7)], 30)
    assert (found["generate"], found["max_age_days"]) == (40, 7)


def test_units_of_a_host_share_a_sealed_file_and_each_file_is_its_own() -> None:
    consumers = [
        {"unit": "a.service"},
        {"unit": "b.service"},
        {"unit": "a.service", "host": "app1"},
        {"path": "/srv/legacy/url", "owner": "legacy", "unit": "legacy.service"},
    ]
    found = deliveries(check_items([item(consumers=consumers)], 90))
    assert [(one["host"], one["credential"]) for one in found] == [
        ("", {"name": "url", "units": ["a.service", "b.service"]}),
        ("app1", {"name": "url", "units": ["a.service"]}),
        (
            "",
            {
                "name": "url.srv.legacy.url",
                "delivery": "file",
                "units": ["legacy.service"],
                "path": "/srv/legacy/url",
                "owner": "legacy",
                "group": "legacy",
            },
        ),
    ]


def test_a_secret_of_the_host_is_sealed_there_without_consumers() -> None:
    assert [one["host"] for one in deliveries(check_items([item(source=HOST)], 90))] == [""]
    assert deliveries(check_items([item()], 90)) == []
