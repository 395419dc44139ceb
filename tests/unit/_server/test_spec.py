# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Input: what is refused, and what is accepted."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._server.spec import (
    ANY_ADDRESS_WORDS,
    DANGEROUS,
    OWNED,
    AccessRule,
)
from tests.unit._server.helpers import RULE, make


def rule(**changes: Any) -> list[dict[str, Any]]:
    return [{**RULE, **changes}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"environment": "Prod!"}, "server_environment is 'Prod!'"),
        ({"environment": "a@b"}, "server_environment"),
        ({"version": 13}, "server_version is 13"),
        ({"port": 0}, "server_port is 0"),
        ({"max_connections": 5}, "server_max_connections is 5"),
        ({"listen_addresses": ["*"]}, "listens on every interface"),
        ({"listen_addresses": ["0.0.0.0"]}, "listens on every interface"),
        ({"listen_addresses": ["::"]}, "listens on every interface"),
        ({"listen_addresses": ["10.0.0.1,evil"]}, "neither an address nor a host name"),
        ({"access_rules": rule(addresses=["0.0.0.0/0"])}, "rule 1: 0.0.0.0/0 exposes the database"),
        ({"access_rules": rule(addresses=["128.0.0.0/1"])}, "exposes the database"),
        ({"access_rules": rule(addresses=["::/0"])}, "exposes the database"),
        ({"access_rules": rule(addresses=["10.20.0.1/16"])}, "not a network in CIDR form"),
        ({"access_rules": rule(addresses=["app.example.org"])}, "not a network in CIDR form"),
        ({"access_rules": rule(addresses=["all"])}, "not a network in CIDR form"),
        ({"access_rules": rule(addresses=[])}, "rule 1 has no addresses"),
        ({"access_rules": rule(users=[])}, "rule 1 has no users"),
        ({"access_rules": rule(databases=["all"])}, "database 'all'"),
        ({"access_rules": rule(users=["all"])}, "user 'all'"),
        ({"access_rules": rule(users=["postgres"])}, "superuser 'postgres' may not connect over the network"),
        ({"access_rules": rule(users=["postgres"]), "allow_all_keyword": True}, "superuser 'postgres'"),
        ({"access_rules": rule(users=["a b\ntrust"])}, "is no name of a user"),
        ({"access_rules": rule(users=['x" trust'])}, "is no name of a user"),
        ({"access_rules": rule(users=["a,b"])}, "is no name of a user"),
        ({"access_rules": rule(users=[""])}, "is no name of a user"),
        ({"access_rules": rule(users=["/^app"])}, "is a pattern or a file"),
        ({"access_rules": rule(databases=["@list"])}, "is a pattern or a file"),
        ({"access_rules": rule(databases=["sameuser"])}, "is a keyword"),
        ({"access_rules": rule(databases=["replication"])}, "Use server_replication_rules"),
        ({"access_rules": rule() * 2}, "rule 2 is there twice"),
        ({"replication_rules": [{"users": ["repl"], "addresses": ["0.0.0.0/0"]}]}, "server_replication_rules, rule 1"),
        ({"allow_any_address": "yes"}, "say it word for word"),
        ({"settings": {"work_mem; DROP": 1}}, "is no name of a setting"),
        ({"settings": {"work_mem": [1]}}, "server_settings.work_mem must be a text"),
        ({"settings": {"work_mem": "1MB\nssl = off"}}, "holds a line break"),
        ({"settings": {"Work_Mem": 1, "work_mem": 2}}, "work_mem is there twice"),
        ({"settings": {"primary_conninfo": "password=x"}}, "may carry a secret"),
        ({"settings": {"include_dir": "/tmp"}}, "may carry a secret or further files"),
        ({"socket_permissions": "777"}, "server_socket_permissions"),
        ({"log_file_mode": "0o600"}, "server_log_file_mode"),
        ({"log_directory": "relative"}, "server_log_directory"),
        ({"log_directory": "/var/../etc"}, "server_log_directory"),
        ({"extensions": {"postgres": ["x; DROP"]}}, "server_extensions"),
        ({"preload_libraries": ["a, b"]}, "server_preload_libraries"),
    ],
)
def test_bad_input_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DbopsError) as error:
        make(**changes)
    assert message in str(error.value)
    assert "Nothing was changed." in str(error.value)


@pytest.mark.parametrize("name", [*OWNED, *DANGEROUS])
def test_settings_with_an_owner_and_dangerous_ones_are_refused(name: str) -> None:
    with pytest.raises(DbopsError, match=name):
        make(settings={name: "x"})


def test_the_error_never_shows_the_value_of_a_refused_secret() -> None:
    with pytest.raises(DbopsError) as error:
        make(settings={"primary_conninfo": "password=CANARY"})
    assert "CANARY" not in str(error.value)


def test_the_words_open_the_internet() -> None:
    spec = make(
        allow_any_address=ANY_ADDRESS_WORDS,
        listen_addresses=["*"],
        access_rules=rule(addresses=["0.0.0.0/0", "::/0"]),
    )
    assert spec.listen_addresses == ("*",)
    assert spec.access_rules[0].addresses == ("0.0.0.0/0", "::/0")


def test_localhost_is_always_listened_on_and_never_twice() -> None:
    assert make(listen_addresses=["localhost", "10.0.0.5", "10.0.0.5"]).listen_addresses == ("localhost", "10.0.0.5")


def test_a_rule_is_taken_as_declared() -> None:
    assert make(access_rules=rule(users=["+payments", "x"])).access_rules == (
        AccessRule(("payments_db",), ("+payments", "x"), ("10.20.0.0/16",)),
    )


def test_booleans_and_numbers_become_what_postgresql_reads() -> None:
    spec = make(settings={"hot_standby": False, "jit": True, "seq_page_cost": 1.5, "max_wal_senders": 4})
    assert dict(spec.settings) == {"hot_standby": "off", "jit": "on", "seq_page_cost": "1.5", "max_wal_senders": "4"}
