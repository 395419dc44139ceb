-- Copyright (c) 2026 the dbops.postgres authors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later
-- Organisations, their members and documents under row-level security, as applications on Supabase are built: claims
-- in request.jwt.claims, auth.uid(), tables that hang on auth.users. The schema auth is a stub. Written for these tests.
-- The loader puts the test's own names in place of role_anon, role_authenticated and role_service.
CREATE ROLE role_anon NOLOGIN;
CREATE ROLE role_authenticated NOLOGIN;
CREATE ROLE role_service NOLOGIN BYPASSRLS;

CREATE SCHEMA auth;
CREATE TABLE auth.users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email varchar(255) UNIQUE,
    encrypted_password varchar(255),
    raw_app_meta_data jsonb,
    raw_user_meta_data jsonb,
    is_sso_user boolean NOT NULL DEFAULT false,
    email_change_confirm_status smallint DEFAULT 0
        CONSTRAINT users_email_change_confirm_status_check CHECK (email_change_confirm_status BETWEEN 0 AND 2),
    created_at timestamptz
);
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE SET search_path = '' AS
$$SELECT nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', '')::uuid$$;
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE SET search_path = '' AS
$$SELECT coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb$$;

CREATE SCHEMA api;
CREATE TYPE api.member_role AS ENUM ('owner', 'admin', 'editor', 'viewer');

CREATE TABLE api.profiles (
    id uuid PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE,
    username text UNIQUE CONSTRAINT profiles_username_length CHECK (char_length(username) >= 3),
    full_name text,
    website text CONSTRAINT profiles_website_check CHECK (website LIKE 'https://%'),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api.organisations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    slug text NOT NULL UNIQUE CONSTRAINT organisations_slug_check CHECK (slug ~ '^[a-z0-9](-?[a-z0-9])*$'),
    name text NOT NULL CHECK (length(trim(name)) > 0),
    plan text NOT NULL DEFAULT 'free' CHECK (plan IN ('free', 'team', 'enterprise')),
    seats integer NOT NULL DEFAULT 1 CHECK (seats >= 1 AND seats <= 5000),
    settings jsonb NOT NULL DEFAULT '{}' CONSTRAINT organisations_settings_check CHECK (jsonb_typeof(settings) = 'object'),
    created_by uuid NOT NULL REFERENCES auth.users
);
CREATE INDEX organisations_created_by_idx ON api.organisations (created_by);

CREATE TABLE api.members (
    organisation_id uuid NOT NULL REFERENCES api.organisations ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    role api.member_role NOT NULL DEFAULT 'viewer',
    invited_at timestamptz NOT NULL DEFAULT now(),
    accepted_at timestamptz,
    PRIMARY KEY (organisation_id, user_id),
    CONSTRAINT members_accepted_after_invited CHECK (accepted_at >= invited_at)
);
CREATE INDEX members_user_id_idx ON api.members (user_id);
CREATE UNIQUE INDEX members_one_owner ON api.members (organisation_id) WHERE role = 'owner';

CREATE TABLE api.folders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES api.organisations ON DELETE CASCADE,
    parent_id bigint,
    name text NOT NULL,
    UNIQUE (organisation_id, id),
    UNIQUE NULLS NOT DISTINCT (organisation_id, parent_id, name),
    FOREIGN KEY (organisation_id, parent_id) REFERENCES api.folders (organisation_id, id) ON DELETE CASCADE
);

CREATE TABLE api.documents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES api.organisations ON DELETE CASCADE,
    folder_id bigint,
    author_id uuid NOT NULL REFERENCES auth.users,
    title text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 200),
    body text NOT NULL DEFAULT '',
    words integer GENERATED ALWAYS AS (length(body) / 6) STORED,
    search tsvector GENERATED ALWAYS AS (to_tsvector('simple', title || ' ' || body)) STORED,
    tags text[] NOT NULL DEFAULT '{}' CHECK (cardinality(tags) <= 20),
    status text NOT NULL DEFAULT 'draft' CHECK (status = ANY (ARRAY['draft', 'published', 'archived'])),
    published_at timestamptz,
    FOREIGN KEY (organisation_id, folder_id) REFERENCES api.folders (organisation_id, id),
    FOREIGN KEY (organisation_id, author_id) REFERENCES api.members (organisation_id, user_id),
    CONSTRAINT documents_published_check CHECK ((status = 'published') = (published_at IS NOT NULL))
);
CREATE INDEX documents_folder_idx ON api.documents (organisation_id, folder_id);
CREATE INDEX documents_author_idx ON api.documents (organisation_id, author_id);
CREATE INDEX documents_author_id_idx ON api.documents (author_id);

CREATE TABLE api.audit_log (
    id bigserial PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES api.organisations ON DELETE CASCADE,
    actor uuid REFERENCES auth.users ON DELETE SET NULL,
    address inet CHECK (family(address) = 4 OR masklen(address) <= 64),
    action text NOT NULL,
    payload jsonb CHECK (payload ? 'table'),
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_log_organisation_id_idx ON api.audit_log (organisation_id);
CREATE INDEX audit_log_actor_idx ON api.audit_log (actor);

CREATE FUNCTION api.member_of(organisation uuid, VARIADIC roles api.member_role[]) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS
$$SELECT EXISTS (SELECT FROM api.members m WHERE m.organisation_id = organisation
                    AND m.user_id = (SELECT auth.uid()) AND m.role = ANY (roles))$$;
REVOKE ALL ON FUNCTION api.member_of(uuid, api.member_role[]) FROM PUBLIC;
CREATE FUNCTION api.organisations_of_mine() RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS
$$SELECT m.organisation_id FROM api.members m WHERE m.user_id = (SELECT auth.uid())$$;
REVOKE ALL ON FUNCTION api.organisations_of_mine() FROM PUBLIC;

CREATE FUNCTION api.touch() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS
$$BEGIN NEW.updated_at = pg_catalog.now(); RETURN NEW; END$$;
CREATE TRIGGER profiles_touch BEFORE UPDATE ON api.profiles FOR EACH ROW EXECUTE FUNCTION api.touch();

GRANT USAGE ON SCHEMA auth, api TO role_anon, role_authenticated, role_service;
GRANT EXECUTE ON FUNCTION api.member_of(uuid, api.member_role[]), api.organisations_of_mine() TO role_authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA api TO role_authenticated, role_service;
GRANT SELECT ON api.profiles TO role_anon;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA api TO role_authenticated, role_service;

ALTER TABLE api.profiles ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY profiles_select ON api.profiles FOR SELECT TO role_authenticated USING (id = (SELECT auth.uid()));
CREATE POLICY profiles_insert ON api.profiles FOR INSERT TO role_authenticated WITH CHECK (id = (SELECT auth.uid()));
CREATE POLICY profiles_update ON api.profiles FOR UPDATE TO role_authenticated
    USING (id = (SELECT auth.uid())) WITH CHECK (id = (SELECT auth.uid()));
CREATE POLICY profiles_delete ON api.profiles FOR DELETE TO role_authenticated USING (id = (SELECT auth.uid()));

ALTER TABLE api.organisations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY organisations_select ON api.organisations FOR SELECT TO role_authenticated
    USING (id IN (SELECT api.organisations_of_mine()));
CREATE POLICY organisations_insert ON api.organisations FOR INSERT TO role_authenticated
    WITH CHECK (created_by = (SELECT auth.uid()));
CREATE POLICY organisations_update ON api.organisations FOR UPDATE TO role_authenticated
    USING (api.member_of(id, 'owner', 'admin')) WITH CHECK (api.member_of(id, 'owner', 'admin'));
CREATE POLICY organisations_delete ON api.organisations FOR DELETE TO role_authenticated
    USING (api.member_of(id, 'owner'));

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['members', 'folders', 'documents', 'audit_log'] LOOP
        EXECUTE format('ALTER TABLE api.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY %I ON api.%I FOR SELECT TO role_authenticated
                        USING (organisation_id IN (SELECT api.organisations_of_mine()))', name || '_select', name);
        EXECUTE format('CREATE POLICY %I ON api.%I FOR INSERT TO role_authenticated
                        WITH CHECK (organisation_id IN (SELECT api.organisations_of_mine()))', name || '_insert', name);
        EXECUTE format('CREATE POLICY %I ON api.%I FOR UPDATE TO role_authenticated
                        USING (organisation_id IN (SELECT api.organisations_of_mine()))
                        WITH CHECK (organisation_id IN (SELECT api.organisations_of_mine()))', name || '_update', name);
        EXECUTE format('CREATE POLICY %I ON api.%I FOR DELETE TO role_authenticated
                        USING (organisation_id IN (SELECT api.organisations_of_mine()))', name || '_delete', name);
    END LOOP;
END$$;

INSERT INTO auth.users (id, email) VALUES
    ('00000000-0000-4000-8000-00000000000a', 'ada@example.com'),
    ('00000000-0000-4000-8000-00000000000b', 'ben@example.com'),
    ('00000000-0000-4000-8000-00000000000c', 'cleo@example.com');
INSERT INTO api.profiles (id, username) VALUES
    ('00000000-0000-4000-8000-00000000000a', 'ada'), ('00000000-0000-4000-8000-00000000000b', 'ben');
INSERT INTO api.organisations (id, slug, name, created_by) VALUES
    ('00000000-0000-4000-8000-0000000000f1', 'north', 'North', '00000000-0000-4000-8000-00000000000a'),
    ('00000000-0000-4000-8000-0000000000f2', 'south', 'South', '00000000-0000-4000-8000-00000000000b');
INSERT INTO api.members (organisation_id, user_id, role) VALUES
    ('00000000-0000-4000-8000-0000000000f1', '00000000-0000-4000-8000-00000000000a', 'owner'),
    ('00000000-0000-4000-8000-0000000000f1', '00000000-0000-4000-8000-00000000000c', 'viewer'),
    ('00000000-0000-4000-8000-0000000000f2', '00000000-0000-4000-8000-00000000000b', 'owner');
INSERT INTO api.folders (organisation_id, name) VALUES
    ('00000000-0000-4000-8000-0000000000f1', 'Plans'), ('00000000-0000-4000-8000-0000000000f2', 'Plans');
INSERT INTO api.documents (organisation_id, author_id, title) VALUES
    ('00000000-0000-4000-8000-0000000000f1', '00000000-0000-4000-8000-00000000000a', 'North first'),
    ('00000000-0000-4000-8000-0000000000f2', '00000000-0000-4000-8000-00000000000b', 'South first');
INSERT INTO api.audit_log (organisation_id, actor, action) VALUES
    ('00000000-0000-4000-8000-0000000000f1', '00000000-0000-4000-8000-00000000000a', 'create'),
    ('00000000-0000-4000-8000-0000000000f2', '00000000-0000-4000-8000-00000000000b', 'create');
