# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of connection URLs: read as libpq reads them, judged for an environment, masked. Pure.

What is said about a URL is made of constant words only, never of its parts: in a URL that somebody wrote wrongly, a
piece of the password may be where the host or the database should be.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus, unquote

from ansible_collections.dbops.postgres.plugins.module_utils._environment import is_production
from ansible_collections.dbops.postgres.plugins.module_utils._plan import MASK, DbopsError

SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")  # the weakest first
# The least that an environment wants; "" stands for those that are not named.
MINIMUM = {"prod": "verify-full", "production": "verify-full", "live": "verify-full", "": "require"}
SCHEMES = ("postgresql", "postgres")
RULES = {
    "present": "there is a URL",
    "form": "the URL is one, and odd characters are percent-encoded",
    "host": "the host is not this machine",
    "hosts": "there is one host",
    "tls": "the server proves who it is, over TLS",
    "user": "the URL names a user",
    "database": "the URL names a database",
    "password": "no secret is in the parameters",
}
_SECRET_PARAMETERS = ("password", "sslpassword")
# 127.0.0.1 in the other forms that a resolver takes is in it as well; addresses that are one are told by ipaddress.
_LOCAL_NAME = re.compile(
    r"localhost(\..*)?|.*\.localhost|127(\.[0-9a-fx]+){0,3}|0+|0*177\..*|0x7f.*|21307064\d\d", re.IGNORECASE
)
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")


@dataclass(frozen=True)
class Problem:
    """What is wrong with a URL: the rule, what was seen, what to do. Neither text holds a part of the URL."""

    rule: str
    text: str
    remedy: str


@dataclass(frozen=True)
class Url:
    """The parts of a connection URL, decoded.

    :param hosts: each with its port as text; empty text: not given.
    """

    user: str
    password: str = field(repr=False)
    hosts: tuple[tuple[str, str], ...]
    database: str
    parameters: tuple[tuple[str, str], ...] = field(repr=False)

    def parameter(self, name: str) -> str:
        """The last value of a parameter, as libpq takes it; empty: none."""
        return next((value for key, value in reversed(self.parameters) if key == name), "")


def parse_url(url: str) -> Url:
    """The parts, split where libpq splits them (manual, 34.1.1.2; the first ``@`` ends the password).

    :raises DbopsError: it is no connection URL. The text holds nothing of it.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise _no_url("it does not begin with postgresql:// or postgres://")
    if any(char.isspace() or not char.isprintable() for char in url):
        raise _no_url("it holds a space, an end of line or another character that must be encoded")
    if "#" in rest:
        raise _no_url("it holds a # that is not percent-encoded")
    if _BAD_PERCENT.search(rest):
        raise _no_url("a % in it is not followed by two hexadecimal digits, or stands for NUL")
    authority, _slash, tail = rest.partition("/")
    path, _mark, query = tail.partition("?")
    if "?" in authority:  # postgresql://host?parameters
        authority, _mark, query = rest.partition("?")
        path = ""
        if "@" in query and "@" not in authority:
            raise _no_url("the user or password holds a ? that is not percent-encoded")
    userinfo, _at, places = authority.rpartition("@")
    if "@" in userinfo or "@" in path:
        raise _no_url("there is a second @: one of the user or password is not percent-encoded")
    if "/" in path:
        raise _no_url("there is a / too many: one of the user, password or database is not percent-encoded")
    user, _colon, password = userinfo.partition(":")
    hosts = tuple(_host(place) for place in places.split(",")) if places else ()
    parameters = tuple(_parameter(item) for item in query.split("&")) if query else ()
    found = Url(unquote(user), unquote(password), hosts, unquote(path), parameters)
    return _with_parameters(found)


def _no_url(why: str) -> DbopsError:
    return DbopsError(
        f"This is no connection URL: {why}",
        "Build it with the filter dbops.postgres.connection_url, which percent-encodes every part.",
    )


def _host(place: str) -> tuple[str, str]:
    match = re.fullmatch(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<name>[^:\[\]]*))(?::(?P<port>[0-9]*))?", place)
    if not match:
        raise _no_url("a host, or a port, is malformed; an IPv6 address stands in brackets")
    host = unquote(match["six"] or match["name"] or "")
    if host and not host.startswith(("/", "@")) and not _HOST.fullmatch(host):
        raise _no_url("a host holds characters that no host has")
    return host, match["port"] or ""


def _parameter(item: str) -> tuple[str, str]:
    key, equals, value = item.partition("=")
    if not equals or "=" in value or not key:
        raise _no_url("a parameter is not of the form name=value, with other = signs percent-encoded")
    name, text = unquote(key), unquote(value)
    return ("sslmode", "require") if (name, text) == ("ssl", "true") else (name, text)  # as libpq does it


def _with_parameters(url: Url) -> Url:
    """Parameters override the parts before them, as in libpq."""
    given = url.parameter("hostaddr") or url.parameter("host")  # the address is what is connected to
    ports = url.parameter("port").split(",") if url.parameter("port") else []
    hosts = url.hosts
    if given:
        names = given.split(",")
        hosts = tuple((name, ports[min(i, len(ports) - 1)] if ports else "") for i, name in enumerate(names))
    return Url(
        url.parameter("user") or url.user,
        url.parameter("password") or url.password,
        hosts,
        url.parameter("dbname") or url.database,
        url.parameters,
    )


def check_url(
    url: str | None,
    environment: str,
    minimum: Mapping[str, str] | None = None,
    *,
    several_hosts: bool = False,
) -> list[Problem]:
    """What is wrong with a connection URL in an environment; empty: nothing.

    :param environment: for example ``prod``; ``production`` and ``live`` are the same.
    :param minimum: environment -> the weakest sslmode that will do there; ``""`` for all others. It adds to
        :data:`MINIMUM`.
    :param several_hosts: whether a list of hosts will do.
    """
    if url is None or not url.strip():
        return [Problem("present", "there is no connection URL, or it is empty", "Set it for this environment.")]
    try:
        parts = parse_url(url)
    except DbopsError as error:
        return [Problem("form", error.problem.rstrip("."), error.remedy)]
    production = is_production(environment)
    found = []
    local = [_is_local(host) for host, _port in parts.hosts] or [True]
    if production and any(local):
        found.append(
            Problem(
                "host",
                "the host is localhost, a loopback address, a socket, or missing, in production",
                "Name the server of production, or run this with the environment that is meant.",
            )
        )
    if len(parts.hosts) > 1 and not several_hosts:
        found.append(
            Problem(
                "hosts", f"there are {len(parts.hosts)} hosts", "Name one: any of several may be the one that answers."
            )
        )
    problem = None if all(local) and not production else _tls(parts, environment, {**MINIMUM, **(minimum or {})})
    if problem:
        found.append(problem)
    if not parts.user:
        found.append(Problem("user", "there is no user", "Name it: otherwise it is that of the operating system."))
    if not parts.database:
        found.append(Problem("database", "there is no database", "Name it: otherwise it is that of the user's name."))
    if any(key in _SECRET_PARAMETERS for key, _value in parts.parameters):
        found.append(
            Problem("password", "a secret is in the parameters, which programs log", "Put it between user and host.")
        )
    return found


def guard_url(
    url: str | None, environment: str, minimum: Mapping[str, str] | None = None, *, several_hosts: bool = False
) -> str:
    """The same URL.

    :raises DbopsError: it must not be used in this environment; the text holds nothing of it.
    """
    found = check_url(url, environment, minimum, several_hosts=several_hosts)
    if found or url is None:
        raise DbopsError(
            f"This connection URL must not be used in {environment or 'an environment without a name'}: "
            + "; ".join(problem.text for problem in found),
            " ".join(dict.fromkeys(problem.remedy for problem in found)),
        )
    return url


def check_minimum(minimum: Mapping[str, str]) -> None:
    """Refuse what is no sslmode.

    :raises DbopsError: with the environment.
    """
    for environment, mode in minimum.items():
        if mode not in SSLMODES:
            raise DbopsError(
                f"The minimum of {environment or 'other environments'} is no sslmode", f"One of {', '.join(SSLMODES)}."
            )


def _tls(parts: Url, environment: str, minimum: Mapping[str, str]) -> Problem | None:
    wanted = minimum.get(environment.lower(), minimum[""])
    mode = parts.parameter("sslmode")
    if mode and mode not in SSLMODES:
        return Problem("tls", "sslmode is a word that libpq does not know", f"Add sslmode={wanted}.")
    if SSLMODES.index(mode or "prefer") >= SSLMODES.index(wanted):
        return None
    seen = f"sslmode={mode}" if mode else "no sslmode, which means prefer"
    return Problem("tls", f"{seen}, where at least {wanted} is wanted", f"Add sslmode={wanted}.")


def _is_local(host: str) -> bool:
    if not host or host.startswith(("/", "@")):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return _LOCAL_NAME.fullmatch(host.rstrip(".")) is not None
    plain = getattr(address, "ipv4_mapped", None) or address
    return bool(plain.is_loopback or plain.is_unspecified)


def mask_url(url: str) -> str:
    """The URL with its secrets masked; a constant text for one that does not parse."""
    try:
        parts = parse_url(url)
    except DbopsError:
        return f"{MASK} (not a connection URL)"
    head, mark, query = url.partition("?")
    scheme, _separator, rest = head.partition("://")
    userinfo, at, place = rest.rpartition("@")
    user = userinfo.partition(":")[0]
    login = f"{user}:{MASK}" if ":" in userinfo else userinfo
    shown = [
        f"{item.partition('=')[0]}={MASK}" if key in _SECRET_PARAMETERS else item
        for item, (key, _value) in zip(query.split("&"), parts.parameters)
    ]
    return f"{scheme}://{login}{at}{place}{mark}{'&'.join(shown)}"


def spellings(url: str) -> list[str]:
    """The secrets of a URL in every spelling in which a program may print them, the longest first.

    Of one that does not parse: the URL, and all between the scheme and the last ``@``.
    """
    try:
        parts = parse_url(url)
        decoded = {parts.password, *(value for key, value in parts.parameters if key in _SECRET_PARAMETERS)}
        raw = {url.partition("://")[2].rpartition("@")[0].partition(":")[2]}
    except DbopsError:
        rest = url.partition("://")[2] or url
        userinfo = rest.rpartition("@")[0] or rest
        secret = userinfo.partition(":")[2] or userinfo
        raw = {url, userinfo, secret, *re.split(r"[@/?#&\s]", secret)}
        raw |= set(re.findall(r"password\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&;]*)", url, re.IGNORECASE))
        raw |= {item.strip("'") for item in raw}
        decoded = {unquote(item) for item in raw}
    found: set[str] = set()
    for secret in decoded | raw:  # what was not encoded may decode to something else
        encoded = (quote(secret, safe=""), quote(secret), quote_plus(secret))
        lower = [re.sub("%..", lambda code: code[0].lower(), item) for item in encoded]
        quoted = (secret.replace("'", "''"), secret.replace("\\", "\\\\").replace("'", "\\'"), repr(secret)[1:-1])
        found |= {secret, *encoded, *lower, *quoted}
    return sorted((item for item in found if item), key=lambda item: (-len(item), item))


def mask_text(text: str, url: str) -> str:
    """A text, for example the error of a program that was given the URL, without its secrets."""
    for secret in spellings(url):
        text = text.replace(secret, MASK)
    return text
