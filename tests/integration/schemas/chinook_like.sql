-- Copyright (c) 2026 the dbops.postgres authors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later
-- A shop for music, in the shape that Chinook has: plain tables, a self reference, composite keys. Written for these
-- tests, with a few checks that such a shop would want.
CREATE SCHEMA music;
SET search_path = music;

CREATE TABLE artist (artist_id int NOT NULL CONSTRAINT artist_pkey PRIMARY KEY, name varchar(120));

CREATE TABLE album (
    album_id int NOT NULL CONSTRAINT album_pkey PRIMARY KEY,
    title varchar(160) NOT NULL,
    artist_id int NOT NULL,
    CONSTRAINT album_artist_id_fkey FOREIGN KEY (artist_id) REFERENCES artist ON DELETE NO ACTION ON UPDATE NO ACTION
);
CREATE INDEX album_artist_id_idx ON album (artist_id);

CREATE TABLE employee (
    employee_id int NOT NULL CONSTRAINT employee_pkey PRIMARY KEY,
    last_name varchar(20) NOT NULL,
    first_name varchar(20) NOT NULL,
    title varchar(30),
    reports_to int CONSTRAINT employee_reports_to_fkey REFERENCES employee,
    birth_date date,
    hire_date date,
    email varchar(60) CONSTRAINT employee_email_key UNIQUE,
    CONSTRAINT employee_reports_to_check CHECK (reports_to <> employee_id),
    CONSTRAINT employee_dates_check CHECK (birth_date < hire_date)
);
CREATE INDEX employee_reports_to_idx ON employee (reports_to);

CREATE TABLE customer (
    customer_id int NOT NULL CONSTRAINT customer_pkey PRIMARY KEY,
    first_name varchar(40) NOT NULL,
    last_name varchar(20) NOT NULL,
    company varchar(80),
    country varchar(40),
    postal_code varchar(10),
    phone varchar(24) CONSTRAINT customer_phone_check CHECK (phone ~ '^\+[0-9 ()-]{6,23}$'),
    email varchar(60) NOT NULL CONSTRAINT customer_email_check CHECK (email ~* '^[^@ ]+@[^@ ]+\.[a-z]{2,}$'),
    support_rep_id int CONSTRAINT customer_support_rep_id_fkey REFERENCES employee
);
CREATE INDEX customer_support_rep_id_idx ON customer (support_rep_id);
CREATE UNIQUE INDEX customer_email_key ON customer (lower(email));

CREATE TABLE genre (genre_id int NOT NULL CONSTRAINT genre_pkey PRIMARY KEY, name varchar(120));
CREATE TABLE media_type (media_type_id int NOT NULL CONSTRAINT media_type_pkey PRIMARY KEY, name varchar(120));

CREATE TABLE track (
    track_id int NOT NULL CONSTRAINT track_pkey PRIMARY KEY,
    name varchar(200) NOT NULL,
    album_id int CONSTRAINT track_album_id_fkey REFERENCES album,
    media_type_id int NOT NULL CONSTRAINT track_media_type_id_fkey REFERENCES media_type,
    genre_id int CONSTRAINT track_genre_id_fkey REFERENCES genre,
    composer varchar(220),
    milliseconds int NOT NULL CONSTRAINT track_milliseconds_check CHECK (milliseconds > 0),
    bytes int,
    unit_price numeric(10, 2) NOT NULL,
    CONSTRAINT track_unit_price_check CHECK (unit_price IN (0.99, 1.29, 1.99))
);
CREATE INDEX track_album_id_idx ON track (album_id);
CREATE INDEX track_media_type_id_idx ON track (media_type_id);
CREATE INDEX track_genre_id_idx ON track (genre_id);

CREATE TABLE invoice (
    invoice_id int NOT NULL CONSTRAINT invoice_pkey PRIMARY KEY,
    customer_id int NOT NULL CONSTRAINT invoice_customer_id_fkey REFERENCES customer,
    invoice_date timestamp NOT NULL,
    billing_country varchar(40),
    total numeric(10, 2) NOT NULL CONSTRAINT invoice_total_check CHECK (total >= 0)
);
CREATE INDEX invoice_customer_id_idx ON invoice (customer_id);

CREATE TABLE invoice_line (
    invoice_line_id int NOT NULL CONSTRAINT invoice_line_pkey PRIMARY KEY,
    invoice_id int NOT NULL CONSTRAINT invoice_line_invoice_id_fkey REFERENCES invoice ON DELETE CASCADE,
    track_id int NOT NULL CONSTRAINT invoice_line_track_id_fkey REFERENCES track,
    unit_price numeric(10, 2) NOT NULL,
    quantity int NOT NULL CONSTRAINT invoice_line_quantity_check CHECK (quantity BETWEEN 1 AND 1000),
    line_total numeric(12, 2) GENERATED ALWAYS AS (unit_price * quantity) STORED
        CONSTRAINT invoice_line_total_check CHECK (line_total < 100000),
    CONSTRAINT invoice_line_track_key UNIQUE (invoice_id, track_id)
);
CREATE INDEX invoice_line_track_id_idx ON invoice_line (track_id);

CREATE TABLE playlist (playlist_id int NOT NULL CONSTRAINT playlist_pkey PRIMARY KEY, name varchar(120));
CREATE TABLE playlist_track (
    playlist_id int NOT NULL CONSTRAINT playlist_track_playlist_id_fkey REFERENCES playlist ON DELETE CASCADE,
    track_id int NOT NULL CONSTRAINT playlist_track_track_id_fkey REFERENCES track,
    CONSTRAINT playlist_track_pkey PRIMARY KEY (playlist_id, track_id)
);
CREATE INDEX playlist_track_track_id_idx ON playlist_track (track_id);
