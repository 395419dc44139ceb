# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is run, and what has to come out of it: parameters into a frozen specification. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._environment import environment_of, is_production
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

# What has to be said, word for word, before a server that calls itself production is loaded.
PRODUCTION_WORDS = "load the production server"
LONGEST_SECONDS = 3600


@dataclass(frozen=True)
class Criteria:
    """What must hold. ``p95_ms`` and ``requests_per_second`` 0: not asked for."""

    p95_ms: float
    requests_per_second: float


@dataclass(frozen=True)
class LoadSpec:
    """One run of pgbench.

    :param rate: transactions a second that are started; 0: as many as possible.
    :param scripts: pairs of a script's text and its weight.
    """

    host: str
    port: int
    database: str
    user: str
    ssl_mode: str
    ca_cert: str
    clients: int
    jobs: int
    seconds: int
    rate: float
    scripts: tuple[tuple[str, int], ...]
    criteria: Criteria
    allow_production: str


def parse(params: Mapping[str, Any]) -> LoadSpec:
    """The specification that these parameters of the module describe.

    :raises DbopsError: with the name of the parameter that is wrong.
    """
    scripts = tuple((_script(item["text"]), _between(item["weight"], 1, 1000, "weight")) for item in params["scripts"])
    if not scripts:
        raise DbopsError("scripts is empty", "Give at least one script for pgbench.")
    clients = _between(params["clients"], 1, 10_000, "clients")
    if params["rate"] < 0:
        raise DbopsError(f"rate is {params['rate']:g}", "Transactions a second, or 0 for as many as possible.")
    return LoadSpec(
        host=params["host"],
        port=_between(params["port"], 1, 65535, "port"),
        database=params["database"],
        user=params["user"],
        ssl_mode=params["ssl_mode"],
        ca_cert=params["ca_cert"] or "",
        clients=clients,
        jobs=min(_between(params["jobs"], 1, 64, "jobs"), clients),
        seconds=_between(params["seconds"], 1, LONGEST_SECONDS, "seconds"),
        rate=params["rate"],
        scripts=scripts,
        criteria=Criteria(params["max_p95_ms"], params["min_requests_per_second"]),
        allow_production=params["allow_production"] or "",
    )


def arguments(spec: LoadSpec, files: tuple[str, ...], log_prefix: str) -> list[str]:
    """The arguments of pgbench (PostgreSQL manual, pgbench). The password comes from a file that PGPASSFILE names."""
    words = [
        "--no-vacuum",
        f"--client={spec.clients}",
        f"--jobs={spec.jobs}",
        f"--time={spec.seconds}",
        "--log",
        f"--log-prefix={log_prefix}",
        f"--host={spec.host}",
        f"--port={spec.port}",
        f"--username={spec.user}",
    ]
    if spec.rate:
        words.append(f"--rate={spec.rate:g}")
    words += [f"--file={file}@{weight}" for file, (_text, weight) in zip(files, spec.scripts)]
    return [*words, spec.database]


def refuse_production(spec: LoadSpec, cluster_name: str) -> None:
    """A server says itself which environment it is: the part of cluster_name behind ``@``.

    :raises DbopsError: it is production, and nobody said the words.
    """
    environment = environment_of(cluster_name)
    if is_production(environment) and spec.allow_production != PRODUCTION_WORDS:
        raise DbopsError(
            f"{spec.host}:{spec.port} says that it is {environment!r} (cluster_name = {cluster_name!r})",
            f"Load another server, or say allow_production: {PRODUCTION_WORDS!r}.",
        )


def _script(text: str) -> str:
    if not text.strip():
        raise DbopsError("A script is empty", "See the manual of pgbench for what it may hold.")
    if re.search(r"^\s*\\(shell|setshell)\b", text, re.MULTILINE):
        raise DbopsError(r"A script has \shell or \setshell", "Only SQL and pgbench's own variables are run.")
    return text


def _between(value: int, low: int, high: int, place: str) -> int:
    if not low <= value <= high:
        raise DbopsError(f"{place} is {value}", f"It must lie between {low} and {high}.")
    return value
