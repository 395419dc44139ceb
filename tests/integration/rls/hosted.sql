-- A small application as a hosted PostgreSQL has them: the API acts as one of two roles and sets the claims of a token.
-- {prefix} is replaced.
CREATE ROLE {prefix}anon;
CREATE ROLE {prefix}authenticated;
CREATE ROLE {prefix}service BYPASSRLS;
CREATE ROLE {prefix}api LOGIN NOINHERIT;
GRANT {prefix}anon, {prefix}authenticated, {prefix}service TO {prefix}api;

CREATE SCHEMA auth;
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE
    AS $$ SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT (auth.jwt() ->> 'sub')::uuid $$;
GRANT USAGE ON SCHEMA auth TO {prefix}anon, {prefix}authenticated;

CREATE SCHEMA app;
CREATE TABLE app.profiles (id uuid PRIMARY KEY, handle text NOT NULL UNIQUE, mail text);
CREATE TABLE app.teams (id uuid PRIMARY KEY, name text NOT NULL);
CREATE TABLE app.members (
    team_id uuid REFERENCES app.teams,
    user_id uuid REFERENCES app.profiles,
    part text NOT NULL CHECK (part IN ('owner', 'reader')),
    PRIMARY KEY (team_id, user_id)
);
CREATE TABLE app.documents (
    id bigserial PRIMARY KEY,
    team_id uuid NOT NULL REFERENCES app.teams,
    author uuid NOT NULL REFERENCES app.profiles,
    title varchar(20) NOT NULL,
    tags text[] NOT NULL DEFAULT '{}'
);
CREATE FUNCTION app.my_teams() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    AS $$ SELECT team_id FROM app.members WHERE user_id = (SELECT auth.uid()) $$;
REVOKE EXECUTE ON FUNCTION app.my_teams() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.my_teams() TO {prefix}authenticated;

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['profiles', 'teams', 'members', 'documents'] LOOP
        EXECUTE format('ALTER TABLE app.%I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE app.%I FORCE ROW LEVEL SECURITY', t);
    END LOOP;
END $$;
CREATE POLICY everybody ON app.profiles FOR SELECT USING (true);
CREATE POLICY mine ON app.profiles FOR UPDATE TO {prefix}authenticated USING (id = (SELECT auth.uid()));
CREATE POLICY ours ON app.teams FOR SELECT TO {prefix}authenticated USING (id IN (SELECT app.my_teams()));
CREATE POLICY ours ON app.members FOR SELECT TO {prefix}authenticated USING (team_id IN (SELECT app.my_teams()));
CREATE POLICY ours ON app.documents FOR SELECT TO {prefix}authenticated USING (team_id IN (SELECT app.my_teams()));
CREATE POLICY write ON app.documents FOR INSERT TO {prefix}authenticated
    WITH CHECK (team_id IN (SELECT app.my_teams()) AND author = (SELECT auth.uid()));
CREATE POLICY change ON app.documents FOR UPDATE TO {prefix}authenticated
    USING (author = (SELECT auth.uid())) WITH CHECK (author = (SELECT auth.uid()) AND team_id IN (SELECT app.my_teams()));
CREATE POLICY remove ON app.documents FOR DELETE TO {prefix}authenticated USING (author = (SELECT auth.uid()));

GRANT USAGE ON SCHEMA app TO {prefix}anon, {prefix}authenticated;
GRANT SELECT ON app.profiles TO {prefix}anon, {prefix}authenticated;
GRANT UPDATE (handle, mail) ON app.profiles TO {prefix}authenticated;
GRANT SELECT ON app.teams, app.members TO {prefix}authenticated;
GRANT SELECT, INSERT, DELETE ON app.documents TO {prefix}authenticated;
GRANT UPDATE (title, team_id) ON app.documents TO {prefix}authenticated;

INSERT INTO app.profiles VALUES
    ('aaaaaaaa-0000-4000-8000-000000000001', 'ann'), ('bbbbbbbb-0000-4000-8000-000000000002', 'ben');
INSERT INTO app.teams VALUES
    ('aaaaaaaa-1111-4000-8000-000000000001', 'A'), ('bbbbbbbb-1111-4000-8000-000000000002', 'B');
INSERT INTO app.members VALUES
    ('aaaaaaaa-1111-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001', 'owner'),
    ('bbbbbbbb-1111-4000-8000-000000000002', 'bbbbbbbb-0000-4000-8000-000000000002', 'owner');
INSERT INTO app.documents (team_id, author, title) SELECT team_id, user_id, 'plan' FROM app.members;
