# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""S-4 encryption in transit and S-6 network isolation."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge import hba
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import (
    Outcome,
    fails,
    holds,
    irrelevant,
    names,
    none_of,
    passes,
    probe,
)
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Observed,
    Thresholds,
    look,
)

_EVERYWHERE = ("*", "0.0.0.0", "::")
_LOOPBACK = ("", "localhost", "127.0.0.1", "::1")
_MODERN = ("TLSv1.2", "TLSv1.3")


def listens(seen: Observed) -> list[str]:
    """The addresses of listen_addresses."""
    text = look(seen.server).settings["listen_addresses"].value
    return [address.strip() for address in text.split(",") if address.strip()]


def local_only(seen: Observed) -> bool:
    """Whether the server cannot be reached over a network at all."""
    return all(address in _LOOPBACK for address in listens(seen))


@probe("S-4", "ssl", "6.8")
def tls_is_on(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    settings = look(seen.server).settings
    on, oldest = settings["ssl"].value, settings["ssl_min_protocol_version"].value
    yield holds(
        on == "on" and oldest in _MODERN,
        "ssl",
        f"ssl = {on}, ssl_min_protocol_version = {oldest or 'any'}",
        "Set ssl = on with a certificate and ssl_min_protocol_version = 'TLSv1.2' or later.",
    )


@probe("S-4", "ssl_ciphers", "6.10")
def ciphers_are_strong(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    configured = look(seen.server).settings["ssl_ciphers"].value
    yield from none_of(
        look(seen.weak_ciphers),
        "ssl_ciphers",
        f"{configured!r} admits only suites with forward secrecy and authenticated encryption",
        f"{configured!r} admits suites without forward secrecy or authenticated encryption",
        "Set ssl_ciphers to ECDHE and DHE suites with GCM, CCM or CHACHA20 only.",
    )


@probe("S-4", "certificate", "6.8")
def certificate_lasts(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    presented = look(seen.certificate)
    if not presented.tls:
        yield fails(
            "certificate", "The server refuses TLS, so it presents no certificate.", "Set ssl = on with a certificate."
        )
        return
    yield holds(
        presented.days_left > want.certificate_days,
        "certificate",
        f"presented over {presented.version}, valid until {presented.not_after}: {presented.days_left} days left"
        f" (more than {want.certificate_days} wanted)",
        "Renew the certificate and reload the server.",
    )


@probe("S-4", "pg_hba.conf: TLS", "6.8")
def network_rules_demand_tls(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    plain = [rule for rule in hba.remote(look(look(seen.server).hba)) if rule.type not in ("hostssl", "hostgssenc")]
    yield from none_of(
        [hba.shown(rule) for rule in plain],
        "pg_hba.conf: TLS",
        "every rule for the network is hostssl",
        "rules that also admit connections without TLS",
        "Make every rule for another host hostssl.",
    )


@probe("S-4", "pg_hba.conf: authentication", "5.4")
def network_rules_demand_scram(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    rules = hba.admitting(look(look(seen.server).hba))
    weak = [rule for rule in rules if rule.type != "local" and rule.method not in hba.STRONG_METHODS]
    yield from none_of(
        [hba.shown(rule) for rule in weak],
        "pg_hba.conf: authentication",
        f"every host rule uses one of {', '.join(hba.STRONG_METHODS)}",
        "weak methods",
        "Use scram-sha-256 (or cert, gss) in every host rule.",
    )


@probe("S-4", "stored passwords")
def passwords_are_scram(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    configured = server.settings["password_encryption"].value
    if configured != "scram-sha-256":
        yield fails(
            "stored passwords", f"password_encryption = {configured}", "Set password_encryption = 'scram-sha-256'."
        )
        return
    roles = look(server.roles)
    weak = [role.name for role in roles if role.password == "md5"]
    if roles and all(role.password == "unknown" for role in roles):
        yield passes("stored passwords", "password_encryption = scram-sha-256; the verifiers cannot be read from here")
        return
    yield from none_of(
        weak,
        "stored passwords",
        "password_encryption = scram-sha-256 and no md5 password is stored",
        "md5 passwords are still stored for",
        "Set these passwords again.",
    )


@probe("S-4", "live connections")
def connections_are_encrypted(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    open_now = look(look(seen.server).connections)
    distant = [item for item in open_now if item.address not in _LOOPBACK and not item.address.startswith("127.")]
    plain = [f"{item.user}@{item.address} ({item.database or 'replication'})" for item in distant if not item.tls]
    yield from none_of(
        plain,
        "live connections",
        f"{len(distant)} connection(s) from other hosts right now, none without TLS",
        "connected without TLS right now",
        "Make the rule that admits them hostssl and reconnect them.",
    )


@probe("S-6", "listen_addresses", "5.2")
def listens_on_named_addresses(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    addresses = listens(seen)
    yield holds(
        not any(address in _EVERYWHERE for address in addresses),
        "listen_addresses",
        f"listen_addresses = {', '.join(addresses) or 'none: the socket only'}",
        "Name the addresses of the interfaces that clients use.",
    )


@probe("S-6", "pg_hba.conf: addresses")
def rules_name_small_networks(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    rules = hba.remote(look(look(seen.server).hba))
    wide = [rule for rule in rules if hba.too_wide(rule, want.network_prefix_v4, want.network_prefix_v6)]
    admitted = sorted({str(hba.network(rule) or rule.address) for rule in rules})
    yield from none_of(
        [hba.shown(rule) for rule in wide],
        "pg_hba.conf: addresses",
        f"other hosts admitted: {names(admitted) or 'none'}",
        f"networks wider than /{want.network_prefix_v4} (IPv6: /{want.network_prefix_v6})",
        "Name the subnets of the applications.",
    )


@probe("S-6", "pg_hba.conf: trust", "5.3", "5.4")
def nobody_is_trusted(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    rules = look(look(seen.server).hba)
    yield from none_of(
        [hba.shown(rule) for rule in rules if rule.method == "trust"],
        "pg_hba.conf: trust",
        "no rule trusts",
        "rules that let anybody in without proof",
        "Replace trust with peer (socket) or scram-sha-256.",
    )


@probe("S-6", "pg_hba.conf: errors")
def the_file_is_valid(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    rules = look(look(seen.server).hba)
    yield from none_of(
        [f"line {rule.line}: {rule.error}" for rule in rules if rule.error],
        "pg_hba.conf: errors",
        "the file on disk is valid",
        "the file on disk would not be loaded",
        "Mend these lines, then reload.",
    )


@probe("S-6", "pg_hba.conf: roles and databases")
def rules_name_roles_and_databases(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    rules = hba.remote(look(look(seen.server).hba))
    yield from none_of(
        [hba.shown(rule) for rule in rules if "all" in rule.users and "all" in rule.databases],
        "pg_hba.conf: roles and databases",
        "every rule for the network names its roles or its databases",
        "rules for all roles and all databases",
        "Name the roles and the databases that come from that network.",
    )


@probe("S-6", "packet filter")
def port_is_filtered(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    if local_only(seen):
        yield irrelevant("packet filter", "The server listens on this host only.")
        return
    port = look(seen.server).settings["port"].value
    if look(look(seen.host).firewall):
        yield passes("packet filter", f"nftables limits who reaches port {port}")
        return
    yield fails(
        "packet filter",
        f"No nftables rule on this host limits who reaches port {port}; a filter in front of the host cannot be seen.",
        "Limit the port to the declared subnets, or waive this with the filter that stands in front of the host.",
        Severity.HIGH,
    )
