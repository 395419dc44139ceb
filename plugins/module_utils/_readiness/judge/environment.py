# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""E-1: the database says which environment it is, and no role of another environment can connect."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.dbops.postgres.plugins.module_utils._environment import environment_of, short
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge import access
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import (
    Outcome,
    fails,
    none_of,
    passes,
    probe,
)
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Observed,
    Thresholds,
    look,
)


def _in_name(name: str, known: tuple[str, ...]) -> str:
    """The environment in the name of a role (``payments_prod_app``: prod), empty when it names none."""
    for word in re.split(r"[_.\-]", name.lower()):
        if word in known:
            return short(word)
    return ""


def declared(seen: Observed) -> str:
    """What the server says it is; empty: it does not say."""
    return environment_of(look(seen.server).settings["cluster_name"].value)


def _named(seen: Observed) -> bool:
    return "@" in look(seen.server).settings["cluster_name"].value


@probe("E-1", "environment of the server")
def server_says_its_environment(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    said = declared(seen)
    name = look(seen.server).settings["cluster_name"].value
    subject = "environment of the server"
    remedy = "Set cluster_name = '<version>/<cluster>@<environment>' (role server, variable server_environment)."
    if not said:
        yield fails(subject, f"cluster_name = {name or 'empty'}: it does not end in @ and an environment", remedy)
    elif want.environment and short(said) != short(want.environment):
        yield fails(subject, f"cluster_name = {name}, but {want.environment} was expected here", remedy)
    else:
        yield passes(subject, f"cluster_name = {name}: {said}")


@probe("E-1", "roles of other environments")
def other_environments_stay_out(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    held = access.server_reach(server)
    here = short(declared(seen))
    subject = "roles of other environments"
    known = (*want.environments, *([here] if here else []))
    named = {role.name: _in_name(role.name, known) for role in access.logins(server)}
    if not here:
        present = sorted({environment for environment in named.values() if environment})
        if len(present) < 2:
            yield passes(subject, f"logins name {present[0] if present else 'no'} environment only")
            return
        yield fails(
            subject,
            f"logins of several environments on one server: {', '.join(present)}",
            "Keep each environment on a server of its own, or say which one this is and refuse the others CONNECT.",
        )
        return
    strangers = [
        f"{name} ({environment}) to {database.name}"
        for name, environment in named.items()
        if environment and environment != here
        for database in look(server.databases)
        if not database.template and access.can_connect(database, held[name])
    ]
    yield from none_of(
        strangers,
        subject,
        f"this is {here}; no login of another environment can connect to a database",
        f"this is {here}, but these can connect",
        "REVOKE CONNECT ON DATABASE ... from them and from PUBLIC.",
    )
