# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PostgreSQL only warns about is an error here, however much it has said before."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._access import apply
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError, Ident, Sql, Step

KEPT = 50  # messages that psycopg2 keeps


class Connection:
    def __init__(self) -> None:
        self.notices = ["WARNING:  of before"] * KEPT


class Cursor:
    def __init__(self, connection: Connection, says: str) -> None:
        self.connection, self.says = connection, says

    def execute(self, _statement: Any) -> None:
        if self.says:
            self.connection.notices[:] = [*self.connection.notices, self.says][-KEPT:]


@pytest.mark.parametrize(("says", "fails"), [("WARNING:  not all privileges were granted", True), ("", False)])
def test_a_grant_that_did_not_do_all_of_it(monkeypatch: pytest.MonkeyPatch, says: str, fails: bool) -> None:
    monkeypatch.setattr(apply, "execute", lambda cursor, step: cursor.execute(step))
    connection = Connection()
    step = Step("table t", Sql("GRANT SELECT ON {} TO {}", (Ident("t"), Ident("app"))))
    if fails:
        with pytest.raises(DbopsError, match="not all privileges"):
            apply._run(cast(Any, connection), cast(Any, Cursor(connection, says)), [step])
    else:
        apply._run(cast(Any, connection), cast(Any, Cursor(connection, says)), [step])
