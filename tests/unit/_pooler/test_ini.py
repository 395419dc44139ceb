# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pgbouncer.ini as data: what is not ours stays, what is wanted stands once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler import ini

TEXT = """\
;;; a person's comment
[databases]
; forcedb = host=x
old_db = host=10.0.0.1
kept = host=a
[pgbouncer]
;listen_port = 1
listen_port = 5555
logfile = /var/log/mine.log
listen_port = 6666
# the end
"""
PLAIN = st.text("abcdefghij_", min_size=1, max_size=8)
VALUES = st.text("abcdefghij 0123456789=/", max_size=12).map(str.strip)
SECTIONS = st.dictionaries(PLAIN, st.dictionaries(PLAIN, VALUES, max_size=4), max_size=3)


def test_edit_keeps_what_is_not_ours() -> None:
    wanted = {"databases": {"kept": "host=b", "new": "host=c"}, "pgbouncer": {"listen_port": "6432", "verbose": "0"}}
    assert ini.edit(TEXT, wanted, exact=("databases",)) == (
        ";;; a person's comment\n"
        "[databases]\n"
        "; forcedb = host=x\n"
        "kept = host=b\n"
        "new = host=c\n"
        "[pgbouncer]\n"
        ";listen_port = 1\n"
        "listen_port = 6432\n"
        "logfile = /var/log/mine.log\n"
        "verbose = 0\n"
        "# the end\n"
    )


def test_an_empty_file_becomes_a_whole_one() -> None:
    text = ini.edit("", {"databases": {"a b": "host=x"}, "pgbouncer": {"listen_port": "1"}})
    assert text == '[databases]\n"a b" = host=x\n\n[pgbouncer]\nlisten_port = 1\n'


@given(SECTIONS, SECTIONS)
def test_edit_makes_it_true_and_a_second_time_changes_nothing(
    before: dict[str, dict[str, str]], wanted: dict[str, dict[str, str]]
) -> None:
    once = ini.edit(ini.edit("", before), wanted)
    assert ini.edit(once, wanted) == once
    found = ini.read(once)
    for section, entries in {**before, **wanted}.items():
        assert found.get(section, {}) == {**before.get(section, {}), **wanted.get(section, entries)}


@pytest.mark.parametrize("line", ["no equals sign", "= value"])
def test_what_cannot_be_read_is_named(line: str) -> None:
    with pytest.raises(DbopsError, match="line 2 cannot be read"):
        ini.read(f"[pgbouncer]\n{line}\n")


def test_names_and_values_are_quoted() -> None:
    assert ini.read('[databases]\n"a ""b" = host=x\n') == {"databases": {'a "b': "host=x"}}
    assert ini.quoted_name('a "b') == '"a ""b"'
    assert ini.connection_string({"host": "10.0.0.1", "dbname": "it's"}) == "host=10.0.0.1 dbname='it''s'"
