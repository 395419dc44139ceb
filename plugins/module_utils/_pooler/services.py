# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the services of an environment, as the role ``access`` declares them, to pools and direct users. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

MIGRATOR_CONNECTIONS = 4  # the default of access_services[].connection_limits.migrator


def pooled(
    services: Sequence[Mapping[str, Any]],
    environment: str,
    *,
    databases: Sequence[Mapping[str, Any]] = (),
    sizes: Mapping[str, int] | None = None,
    direct: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """``databases`` and ``direct`` of ``pgbouncer_config``.

    The application of each service comes through the pool, with both its logins if they rotate; its migrator does not,
    since a migration needs a session.

    :param databases: further ones; one of a service's name replaces the service's.
    :param sizes: pool size by service.
    :param direct: further direct users, by what the table calls them.
    :raises DbopsError: a size for a service that is not declared.
    """
    if services and not environment:
        raise DbopsError("pgbouncer_services needs pgbouncer_environment, the environment of this host")
    here = [item for item in services if environment in (item.get("environments") or [environment])]
    known = [str(item["name"]) for item in here]
    for name in sizes or {}:
        if name not in known and name not in {str(item["name"]) for item in services}:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Declared are {', '.join(known) or 'none'}."
            raise DbopsError(f"pgbouncer_pool_sizes: there is no service {name!r}", hint)
    made = {}
    others = dict(direct or {})
    for item in here:
        app = f"{item['name']}_{environment}_app"
        entry: dict[str, Any] = {
            "name": item["database"],
            "users": [f"{app}_a", f"{app}_b"] if item.get("rotating") else [app],
        }
        if item["name"] in (sizes or {}):
            entry["pool_size"] = (sizes or {})[item["name"]]
        made[item["database"]] = entry
        limit = (item.get("connection_limits") or {}).get("migrator")
        others.setdefault(f"{item['name']}_{environment}_migrator", MIGRATOR_CONNECTIONS if limit is None else limit)
    for further in databases:
        made[str(further.get("name"))] = dict(further)
    return {
        "databases": [{**entry, "dbname": entry.get("dbname") or entry.get("name")} for entry in made.values()],
        "direct": others,
    }
