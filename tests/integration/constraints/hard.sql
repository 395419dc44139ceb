-- Copyright (c) 2026 the dbops.postgres authors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later
-- What makes it hard to find a row that a table takes, and one that violates exactly one constraint.
CREATE EXTENSION btree_gist;
CREATE EXTENSION citext;
CREATE SCHEMA hard;
SET search_path = hard, public;

-- domains over domains, with NOT NULL, over arrays; composite types; ranges
CREATE DOMAIN email AS citext CHECK (VALUE ~ '^[a-z0-9._%+-]+@[a-z0-9-]+(\.[a-z]{2,4})+$');
CREATE DOMAIN work_email AS email CHECK (VALUE LIKE '%@example.com');
CREATE DOMAIN percent AS numeric(5, 2) NOT NULL CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN tags AS text[] CHECK (cardinality(VALUE) BETWEEN 1 AND 3);
CREATE TYPE money_amount AS (amount numeric(12, 2), currency char(3));
CREATE TYPE floatrange AS RANGE (subtype = float8);

CREATE TABLE people (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mail work_email NOT NULL UNIQUE,
    share percent,
    labels tags,
    price money_amount CHECK ((price).currency IN ('EUR', 'USD')),
    span floatrange CHECK (lower(span) >= 0 AND NOT isempty(span)),
    password text NOT NULL CHECK (length(password) >= 12 AND password ~ '[A-Z]' AND password ~ '[0-9]'),
    born date CHECK (born < CURRENT_DATE AND born > '1900-01-01'),
    settings jsonb NOT NULL CHECK (jsonb_typeof(settings -> 'theme') = 'string'),
    net cidr CHECK (masklen(net) >= 24),
    "we ""ird" text CHECK ("we ""ird" <> 'it''s {0} %s'),
    full_name text GENERATED ALWAYS AS (upper("we ""ird")) STORED UNIQUE,
    initials text GENERATED ALWAYS AS (left("we ""ird", 2)) STORED NOT NULL CHECK (initials <> 'zz'),
    twice integer GENERATED ALWAYS AS (length(password) * 2) STORED CHECK (twice < 200)
);

-- values that depend on each other
CREATE TABLE bookings (
    id bigint PRIMARY KEY,
    room integer NOT NULL,
    guest integer NOT NULL REFERENCES people,
    during tstzrange NOT NULL CHECK (NOT isempty(during)),
    kind text NOT NULL CHECK (kind IN ('stay', 'block')),
    price numeric(8, 2),
    cancelled boolean NOT NULL DEFAULT false,
    CONSTRAINT bookings_price CHECK (kind = 'block' OR price IS NOT NULL),
    CONSTRAINT bookings_price_positive CHECK (price > 0),
    CONSTRAINT bookings_no_overlap EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (NOT cancelled),
    CONSTRAINT bookings_one_guest EXCLUDE USING gist (room WITH =, guest WITH <>, during WITH &&)
);

-- composite keys, MATCH FULL, both columns nullable
CREATE TABLE regions (country char(2), code varchar(5), PRIMARY KEY (country, code));
CREATE TABLE places (
    id uuid PRIMARY KEY,
    country char(2),
    code varchar(5),
    name text NOT NULL,
    FOREIGN KEY (country, code) REFERENCES regions MATCH FULL,
    UNIQUE NULLS NOT DISTINCT (country, code, name)
);

-- partitions of partitions, by list and hash and range, a default, a foreign key to a partitioned table
CREATE TABLE events (
    tenant integer NOT NULL,
    at timestamptz NOT NULL,
    id bigint NOT NULL,
    kind text NOT NULL CHECK (kind <> ''),
    parent_tenant integer,
    parent_at timestamptz,
    parent_id bigint,
    PRIMARY KEY (tenant, at, id),
    FOREIGN KEY (parent_tenant, parent_at, parent_id) REFERENCES events
) PARTITION BY LIST (tenant);
CREATE TABLE events_1 PARTITION OF events FOR VALUES IN (1, 2) PARTITION BY RANGE (at);
CREATE TABLE events_1_old PARTITION OF events_1 FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE events_1_new PARTITION OF events_1 FOR VALUES FROM ('2026-01-01') TO (MAXVALUE);
CREATE TABLE events_rest PARTITION OF events DEFAULT;
ALTER TABLE events_rest ADD CONSTRAINT rest_only CHECK (kind LIKE 'rest-%');
CREATE TABLE hashed (id integer PRIMARY KEY, note varchar(20) NOT NULL) PARTITION BY HASH (id);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE hashed_2 PARTITION OF hashed FOR VALUES WITH (MODULUS 3, REMAINDER 2);
CREATE TABLE remarks (
    id serial PRIMARY KEY,
    hashed_id integer NOT NULL UNIQUE REFERENCES hashed ON DELETE CASCADE,
    text text NOT NULL
);

-- inheritance
CREATE TABLE vehicles (id integer PRIMARY KEY, wheels smallint NOT NULL CHECK (wheels > 0));
CREATE TABLE cars (doors smallint CHECK (doors BETWEEN 2 AND 5), PRIMARY KEY (id), CHECK (wheels = 4)) INHERITS (vehicles);

-- a circle that nothing but deferring can close, and a key that is checked late
CREATE TABLE hens (id integer PRIMARY KEY, egg integer NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE eggs (id integer PRIMARY KEY, hen integer NOT NULL REFERENCES hens DEFERRABLE);
ALTER TABLE hens ADD FOREIGN KEY (egg) REFERENCES eggs DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE nodes (id integer PRIMARY KEY, up integer NOT NULL REFERENCES nodes, position integer, UNIQUE (up, position));

-- one row only
CREATE TABLE singleton (id boolean PRIMARY KEY DEFAULT true CHECK (id), title varchar(8) NOT NULL CHECK (title <> ''));

-- indexes: an expression, a condition, one that others imply
CREATE TABLE accounts (
    id integer PRIMARY KEY,
    owner integer NOT NULL UNIQUE REFERENCES people,
    name text NOT NULL,
    plan text NOT NULL DEFAULT 'free' CHECK (plan = ANY ('{free,paid,trial}'::text[])),
    deleted_at timestamptz,
    parent integer REFERENCES accounts,
    pair integer[] NOT NULL CHECK (array_length(pair, 1) = 2 AND pair[1] < pair[2]),
    UNIQUE (id, name),
    CHECK (parent <> id),
    CHECK (num_nulls(deleted_at, parent) <= 1)
);
CREATE UNIQUE INDEX accounts_name_live ON accounts (lower(name)) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX accounts_gone ON accounts (name) WHERE deleted_at IS NOT NULL AND plan <> 'trial';

-- triggers that fill, refuse, overwrite, and make rows of other tables
CREATE TABLE filled (id integer PRIMARY KEY, slug text NOT NULL, n integer NOT NULL CHECK (n > 0));
CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN NEW.slug := coalesce(NEW.slug, 'filled'); NEW.n := greatest(NEW.n, 1); RETURN NEW; END$$;
CREATE TRIGGER fill BEFORE INSERT ON filled FOR EACH ROW EXECUTE FUNCTION fill();
CREATE TABLE refused (id integer PRIMARY KEY, note text NOT NULL);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not on Sundays'; END$$;
CREATE TRIGGER refuse BEFORE INSERT ON refused FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TABLE owned (id integer PRIMARY KEY, owner integer REFERENCES people, note text NOT NULL);
CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.owner := NULL; RETURN NEW; END$$;
CREATE TRIGGER own BEFORE INSERT OR UPDATE ON owned FOR EACH ROW EXECUTE FUNCTION own();
CREATE TABLE signups (id uuid PRIMARY KEY, mail text NOT NULL UNIQUE);
CREATE TABLE profiles (id uuid PRIMARY KEY REFERENCES signups ON DELETE CASCADE, name text UNIQUE);
CREATE FUNCTION profile() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN INSERT INTO hard.profiles (id, name) VALUES (NEW.id, NEW.mail); RETURN NULL; END$$;
CREATE TRIGGER profile AFTER INSERT ON signups FOR EACH ROW EXECUTE FUNCTION profile();

-- a foreign key that is narrower than what it references
CREATE TABLE wide (id bigint PRIMARY KEY, code text NOT NULL UNIQUE);
CREATE TABLE narrow (wide integer PRIMARY KEY REFERENCES wide, code varchar(4) NOT NULL REFERENCES wide (code), tiny smallint REFERENCES wide);

-- two references to one table that must differ, and a check over more columns than can be looked at together
CREATE TABLE follows (who integer REFERENCES wide, whom integer REFERENCES wide, PRIMARY KEY (who, whom), CHECK (who <> whom));
CREATE TABLE broad (
    id integer PRIMARY KEY, a text, b text, c date, d numeric, e numeric, f text[], g jsonb, h integer,
    CONSTRAINT broad_check CHECK (id <> 1 OR (a IS NULL AND b IS NULL AND c IS NULL AND d > 7 AND e < 5 AND f IS NULL AND g IS NULL AND h IS NULL))
);
