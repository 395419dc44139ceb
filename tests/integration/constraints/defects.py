# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of constraints, each planted by itself into the schema of hard.sql: data for the tests of the rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NOT_ENFORCED = "constraint not enforced"
NOT_TRIED = "constraint not tried"
DECLARED = "declared constraint"

# The section of the spec file for the good schema.
SPEC: dict[str, Any] = {
    "exempt": [
        {"table": "hard.cars", "constraint": "vehicles_wheels_check", "reason": "cars_wheels_check is stricter"},
    ],
    "expected": [
        {"table": "hard.bookings", "name": "bookings_price_positive"},
        {"table": "hard.bookings", "kind": "exclusion", "columns": ["room", "during"]},
        {"table": "hard.people", "kind": "unique", "columns": ["mail"]},
        {"table": "hard.people", "kind": "not null", "columns": ["password"]},
        {"table": "hard.remarks", "kind": "foreign key", "columns": ["hashed_id"]},
        {"table": "domain hard.email", "name": "email_check"},
    ],
}


@dataclass(frozen=True)
class Defect:
    """A fault.

    :param sql: statements that plant it, in one transaction.
    :param rule: the title of the finding, and ``subject`` a part of its subject.
    """

    name: str
    sql: str
    rule: str
    subject: str


DEFECTS = (
    Defect(
        "foreign key not valid",
        "ALTER TABLE bookings DROP CONSTRAINT bookings_guest_fkey, ADD CONSTRAINT bookings_guest_fkey"
        " FOREIGN KEY (guest) REFERENCES people NOT VALID",
        NOT_ENFORCED,
        "hard.bookings: bookings_guest_fkey",
    ),
    Defect(
        "check not valid",
        "ALTER TABLE bookings DROP CONSTRAINT bookings_price, ADD CONSTRAINT bookings_price"
        " CHECK (kind = 'block' OR price IS NOT NULL) NOT VALID",
        NOT_ENFORCED,
        "hard.bookings: bookings_price",
    ),
    Defect(
        "check of a domain not valid",
        "ALTER DOMAIN email DROP CONSTRAINT email_check; ALTER DOMAIN email ADD CONSTRAINT email_check"
        " CHECK (VALUE ~ '^[a-z0-9._%+-]+@[a-z0-9-]+(\\.[a-z]{2,4})+$') NOT VALID",
        NOT_ENFORCED,
        "domain hard.email: email_check",
    ),
    Defect(
        "triggers of the referencing table disabled",
        "ALTER TABLE remarks DISABLE TRIGGER ALL",
        NOT_ENFORCED,
        "hard.remarks: remarks_hashed_id_fkey",
    ),
    Defect(
        "triggers of the referenced table disabled",
        "ALTER TABLE people DISABLE TRIGGER ALL",
        NOT_ENFORCED,
        "hard.bookings: bookings_guest_fkey",
    ),
    Defect(
        "triggers of one partition disabled",
        "ALTER TABLE events_1_new DISABLE TRIGGER ALL",
        NOT_ENFORCED,
        "hard.events_1_new: events_parent_tenant_parent_at_parent_id_fkey",
    ),
    Defect(
        "triggers that only a replica fires",
        """DO $$ DECLARE t name; BEGIN
             FOR t IN SELECT tgname FROM pg_trigger WHERE tgrelid = 'hard.remarks'::regclass AND tgisinternal LOOP
               EXECUTE format('ALTER TABLE hard.remarks ENABLE REPLICA TRIGGER %I', t);
             END LOOP; END $$""",
        NOT_ENFORCED,
        "hard.remarks: remarks_hashed_id_fkey",
    ),
    Defect(
        "no triggers in these sessions",
        "SET LOCAL session_replication_role = replica",
        NOT_ENFORCED,
        "hard.places: places_country_code_fkey",
    ),
    Defect(
        "an orphan",
        "SET LOCAL session_replication_role = replica; INSERT INTO remarks (id, hashed_id, text) VALUES (1, 404, 'x');"
        " SET LOCAL session_replication_role = origin",
        NOT_ENFORCED,
        "hard.remarks: remarks_hashed_id_fkey",
    ),
    Defect(
        "an orphan in a partition, by three columns",
        "SET LOCAL session_replication_role = replica;"
        " INSERT INTO events VALUES (7, '2026-05-01', 1, 'rest-x', 8, '2026-05-01', 1);"
        " SET LOCAL session_replication_role = origin",
        NOT_ENFORCED,
        "hard.events: events_parent_tenant_parent_at_parent_id_fkey",
    ),
    Defect(
        "unique index invalid",
        "UPDATE pg_catalog.pg_index SET indisvalid = false WHERE indexrelid = 'hard.accounts_name_live'::regclass",
        NOT_ENFORCED,
        "hard.accounts: accounts_name_live",
    ),
    Defect(
        "a trigger that leaves rows out",
        "CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        " CREATE TRIGGER leave BEFORE INSERT ON places FOR EACH ROW EXECUTE FUNCTION leave();"
        " ALTER TABLE places ENABLE ALWAYS TRIGGER leave",
        NOT_TRIED,
        "hard.places",
    ),
    Defect(
        "a check that nothing satisfies",
        "ALTER TABLE singleton ADD CONSTRAINT never CHECK (title = 'a' AND title = 'b')",
        NOT_TRIED,
        "hard.singleton",
    ),
    Defect(
        "a check that nothing violates",
        "ALTER TABLE regions ADD CONSTRAINT ever CHECK (code = code)",
        NOT_TRIED,
        "hard.regions: ever",
    ),
    Defect(
        "check dropped",
        "ALTER TABLE bookings DROP CONSTRAINT bookings_price_positive",
        DECLARED,
        "hard.bookings: bookings_price_positive",
    ),
    Defect(
        "exclusion dropped",
        "ALTER TABLE bookings DROP CONSTRAINT bookings_no_overlap",
        DECLARED,
        "hard.bookings: exclusion (room, during)",
    ),
    Defect(
        "unique index no longer unique",
        "ALTER TABLE people DROP CONSTRAINT people_mail_key; CREATE INDEX people_mail_key ON people (mail)",
        DECLARED,
        "hard.people: unique (mail)",
    ),
    Defect(
        "unique for some rows only",
        "ALTER TABLE people DROP CONSTRAINT people_mail_key;"
        " CREATE UNIQUE INDEX people_mail_key ON people (mail) WHERE id > 10",
        DECLARED,
        "hard.people: unique (mail)",
    ),
    Defect(
        "NOT NULL dropped",
        "ALTER TABLE people ALTER password DROP NOT NULL",
        DECLARED,
        "hard.people: not null (password)",
    ),
    Defect(
        "foreign key dropped",
        "ALTER TABLE remarks DROP CONSTRAINT remarks_hashed_id_fkey",
        DECLARED,
        "hard.remarks: foreign key (hashed_id)",
    ),
    Defect(
        "check of a domain dropped",
        "ALTER DOMAIN email DROP CONSTRAINT email_check",
        DECLARED,
        "domain hard.email: email_check",
    ),
)
