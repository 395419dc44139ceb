# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random policies: what the attempts find is what PostgreSQL's manual says that the policies mean."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._rls import check, observe
from ansible_collections.dbops.postgres.plugins.module_utils._rls.cells import matrix
from ansible_collections.dbops.postgres.plugins.module_utils._rls.spec import parse
from tests.integration.rls.schemas import HARBOUR, HILL
from tests.integration.servers import Database

OWN = "tenant = (SELECT nullif(current_setting('app.t', true), '')::uuid)"
FOREIGN = "tenant <> (SELECT nullif(current_setting('app.t', true), '')::uuid)"
# Whether each condition holds for an own row, and for one of others.
HOLDS = {OWN: (True, False), FOREIGN: (False, True), "true": (True, True), "false": (False, False)}
COMMANDS = ("ALL", "SELECT", "INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True)
class Policy:
    command: str
    permissive: bool
    using: str
    check: str | None

    def sql(self, number: int) -> str:
        clauses = "" if self.command == "INSERT" else f" USING ({self.using})"
        checked = self.using if self.command == "INSERT" and self.check is None else self.check
        if checked is not None and self.command not in ("SELECT", "DELETE"):
            clauses += f" WITH CHECK ({checked})"
        kind = "PERMISSIVE" if self.permissive else "RESTRICTIVE"
        return f"CREATE POLICY p{number} ON t AS {kind} FOR {self.command}{clauses}"

    def holds(self, own: bool, *, new: bool) -> bool:
        condition = self.check if new and self.check is not None else self.using
        return HOLDS[condition][0 if own else 1]


policies = st.lists(
    st.builds(
        Policy,
        st.sampled_from(COMMANDS),
        st.sampled_from([True, True, True, False]),
        st.sampled_from(list(HOLDS)),
        st.sampled_from([None, *HOLDS]),
    ),
    max_size=5,
)


def allowed(chosen: list[Policy], command: str, own: bool, *, new: bool) -> bool:
    """One permissive policy at least, and every restrictive one."""
    mine = [policy for policy in chosen if policy.command in ("ALL", command)]
    return any(p.holds(own, new=new) for p in mine if p.permissive) and all(
        p.holds(own, new=new) for p in mine if not p.permissive
    )


def expected(chosen: list[Policy], command: str) -> str:
    def may(own_before: bool, own_after: bool) -> bool:
        before = command == "INSERT" or allowed(chosen, command, own_before, new=False)
        after = command in ("SELECT", "DELETE") or allowed(chosen, command, own_after, new=True)
        return before and after

    foreign = may(False, True) or may(True, False) if command == "UPDATE" else may(False, False)
    return "foreign" if foreign else "own" if may(True, True) else "none"


def test_attempts_find_what_policies_mean(pg_database: Database) -> None:
    role = f"{pg_database.prefix}app"
    spec = parse(
        {
            "tenant_column": "tenant",
            "identities": [
                {"name": "a", "role": role, "settings": {"app.t": HARBOUR}, "sees": {"*": f"tenant = '{HARBOUR}'"}}
            ],
        }
    )
    connection = pg_database.connect(autocommit=False)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""CREATE ROLE {role}; CREATE TABLE t (tenant uuid NOT NULL, id int PRIMARY KEY);
            ALTER TABLE t ENABLE ROW LEVEL SECURITY; GRANT SELECT, INSERT, UPDATE, DELETE ON t TO {role};
            INSERT INTO t VALUES ('{HARBOUR}', 1), ('{HILL}', 2)"""
        )
        connection.commit()

        @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
        @given(policies)
        def agrees(chosen: list[Policy]) -> None:
            try:
                for number, policy in enumerate(chosen):
                    cursor.execute(policy.sql(number))
                state = observe.observe(connection, spec)
                cells, _found = check.attempts(connection, state, spec, check.tried(state, spec), within=True)
            finally:
                connection.rollback()
            assert matrix(cells)["a"]["public.t"] == {c: expected(chosen, c) for c in COMMANDS[1:]}

        agrees()
    connection.close()
