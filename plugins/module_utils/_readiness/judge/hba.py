# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule of pg_hba.conf admits (PostgreSQL manual, 20.1)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import HbaRule

STRONG_METHODS = ("scram-sha-256", "cert", "gss")
_LOCAL_METHODS = ("peer", "scram-sha-256", "cert", "reject")
_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def network(rule: HbaRule) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The addresses of a rule; None for a host name and for the words all, samehost and samenet."""
    try:
        address = ipaddress.ip_address(rule.address)
        if not rule.netmask:
            return ipaddress.ip_network(rule.address)
        length = bin(int(ipaddress.ip_address(rule.netmask))).count("1")
        return ipaddress.ip_network(f"{address}/{length}", strict=False)
    except ValueError:
        return None


def is_local(rule: HbaRule) -> bool:
    """Whether it admits from this host only: the socket, a loopback address, samehost."""
    if rule.type == "local" or rule.address == "samehost":
        return True
    addresses = network(rule)
    return addresses is not None and any(
        addresses.version == loopback.version and addresses.subnet_of(loopback)  # type: ignore[arg-type]
        for loopback in _LOOPBACK
    )


def admitting(rules: Iterable[HbaRule]) -> list[HbaRule]:
    """Those that let somebody in."""
    return [rule for rule in rules if rule.method not in ("reject", "")]


def remote(rules: Iterable[HbaRule]) -> list[HbaRule]:
    """Those that let somebody in over the network."""
    return [rule for rule in admitting(rules) if not is_local(rule)]


def is_world(rule: HbaRule) -> bool:
    """Whether it names every address."""
    addresses = network(rule)
    return rule.address == "all" or (addresses is not None and addresses.prefixlen == 0)


def too_wide(rule: HbaRule, prefix_v4: int, prefix_v6: int) -> bool:
    """Whether it names more addresses than a network of an application has. A host name is one address."""
    addresses = network(rule)
    if addresses is None:
        return rule.address == "all"
    return addresses.prefixlen < (prefix_v4 if addresses.version == 4 else prefix_v6)


def weak_local(rules: Iterable[HbaRule]) -> list[HbaRule]:
    """Rules of the UNIX socket with a method that proves nothing or shows a password."""
    return [rule for rule in rules if rule.type == "local" and rule.method not in _LOCAL_METHODS]


def admits_role(rules: Sequence[HbaRule], role: str, groups: Iterable[str]) -> list[HbaRule]:
    """The network rules through which a role gets in, in the order in which PostgreSQL tries them.

    The first rule that matches decides; a rule that rejects the role everywhere ends the search.
    """
    reached = []
    rejected: set[int] = set()
    for rule in rules:
        if is_local(rule) or not _names_role(rule, role, groups):
            continue
        addresses = network(rule)
        families = {4, 6} if addresses is None else {addresses.version}
        if rule.method == "reject":
            if is_world(rule) and "all" in rule.databases and rule.type == "host":
                rejected |= families
        # The word all does not include replication connections, so a rejection of all does not either.
        elif rule.method and (not families <= rejected or "replication" in rule.databases):
            reached.append(rule)
    return reached


def _names_role(rule: HbaRule, role: str, groups: Iterable[str]) -> bool:
    named = {"all", role, *(f"+{group}" for group in (role, *groups))}
    return any(user in named or (user.startswith("/") and _matches(user[1:], role)) for user in rule.users)


def _matches(pattern: str, role: str) -> bool:
    try:
        return re.search(pattern, role) is not None
    except re.error:
        return True  # PostgreSQL's regular expressions know more than Python's: assume the worse


def shown(rule: HbaRule) -> str:
    """A rule as it stands in the file, for the evidence."""
    address = str(network(rule)) if rule.netmask and network(rule) else rule.address
    fields = (rule.type, ",".join(rule.databases), ",".join(rule.users), address, rule.method)
    return f"line {rule.line} ({' '.join(field for field in fields if field)})"
