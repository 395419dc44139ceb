# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Globals for an empty cluster: its superuser is there, and no live directory is touched."""

from __future__ import annotations

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._backup.restore_globals import for_scratch, roles_of

GLOBALS = r'''
\restrict token
CREATE ROLE app;
ALTER ROLE app WITH LOGIN;
CREATE ROLE "odd ""name""";
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER;
GRANT app TO "odd ""name""" WITH INHERIT TRUE GRANTED BY postgres;
CREATE TABLESPACE fast OWNER app LOCATION '/srv/it''s fast';
CREATE TABLESPACE "a LOCATION 'b'" OWNER app LOCATION E'/srv/b';
GRANT CREATE ON TABLESPACE fast TO app;
\unrestrict token
'''


def test_the_roles() -> None:
    assert roles_of(GLOBALS) == ("app", 'odd "name"', "postgres")


@pytest.mark.parametrize(("superuser", "gone"), [("postgres", "postgres"), ('odd "name"', '"odd ""name"""')])
def test_the_superuser_is_there_already(superuser: str, gone: str) -> None:
    text = for_scratch(GLOBALS, superuser)
    assert f"CREATE ROLE {gone};" not in text
    assert "ALTER ROLE postgres WITH SUPERUSER;" in text
    assert len(roles_of(text)) == 2


def test_tablespaces_lie_in_the_cluster() -> None:
    text = for_scratch(GLOBALS, "postgres")
    assert "/srv" not in text
    assert "CREATE TABLESPACE fast OWNER app LOCATION '';\n" in text
    assert "CREATE TABLESPACE \"a LOCATION 'b'\" OWNER app LOCATION '';\n" in text
    assert text.startswith("SET allow_in_place_tablespaces = on;\n")


def test_a_superuser_who_is_not_in_it() -> None:
    assert for_scratch("CREATE ROLE app;\n", "rdsadmin").endswith("CREATE ROLE app;\n")
