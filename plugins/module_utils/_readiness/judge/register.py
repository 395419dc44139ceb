# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""S-8 access register: who can do what, produced from the live catalog."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge import access
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import (
    Outcome,
    holds,
    probe,
)
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Observed,
    Server,
    Thresholds,
    look,
)

COLUMNS = ("login", "database", "through", "schema", "may")


def rows(server: Server) -> list[tuple[str, str, str, str, str]]:
    """The register: for every login that is no superuser, every database that it can connect to and, through
    whichever role, what it may do there. The same reader feeds the judgement of S-5.
    """
    held = access.server_reach(server)
    found = []
    for role in access.logins(server):
        for database in look(server.databases):
            if not access.can_connect(database, held[role.name]):
                continue
            inside = look(database.inside)
            lines: dict[tuple[str, str], dict[str, None]] = {}
            for item in inside.grants:
                if item.grantee == "" or item.grantee in held[role.name]:
                    through = item.grantee or "PUBLIC"
                    said = f"{item.privilege} on {item.objects} {item.kind}(s)"
                    lines.setdefault((through, item.schema), {})[said] = None
            for owned in inside.owned:
                if owned.owner in held[role.name]:
                    said = f"owns {owned.objects} {owned.kind}(s)"
                    lines.setdefault((owned.owner, owned.schema), {})[said] = None
            for schema in inside.schemas:
                for grant in schema.grants:
                    if grant.privilege == "CREATE" and (grant.grantee == "" or grant.grantee in held[role.name]):
                        lines.setdefault((grant.grantee or "PUBLIC", schema.name), {})["CREATE in the schema"] = None
            if not lines:
                found.append((role.name, database.name, "", "", "connects only"))
            for (through, place), may in sorted(lines.items()):
                shown = "itself" if through == role.name else through
                found.append((role.name, database.name, shown, place, ", ".join(may)))
    return found


@probe("S-8", "register")
def register_is_complete(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    written = rows(server)
    databases = look(server.databases)
    # A role that was dropped behind the catalog's back shows as its number.
    holders = {
        holder
        for database in databases
        for holder in (
            *(grant.grantee for grant in database.grants),
            *(item.grantee for item in look(database.inside).grants),
            *(item.owner for item in look(database.inside).owned),
        )
    }
    unknown = sorted(holder for holder in holders if holder.startswith("unknown (OID="))
    yield holds(
        not unknown,
        "register",
        f"produced from the live catalog with this report: {len(access.logins(server))} logins,"
        f" {len(databases)} databases, {len(written)} lines"
        + (f"; grants to roles that do not exist: {', '.join(unknown)}" if unknown else ""),
        "Revoke the grants to roles that no longer exist.",
    )
