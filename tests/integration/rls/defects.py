# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defects to plant, one at a time, in the good schema of ``aria.sql``. Data only."""

from __future__ import annotations

from dataclasses import dataclass

MATRIX = "matrix"  # what an identity can do, not what a rule of the catalog says


@dataclass(frozen=True)
class Defect:
    """One defect.

    :param sql: how it is made; ``{prefix}`` is replaced.
    :param rule: the title of the finding that must say so; of :data:`MATRIX` a finding about an identity.
    :param subject: what the subject of that finding contains.
    """

    name: str
    sql: str
    rule: str
    subject: str


OWNER = "{prefix}owner"

DEFECTS = (
    Defect(
        "table without row-level security",
        "ALTER TABLE aria.audio_files DISABLE ROW LEVEL SECURITY",
        "rls_enabled",
        "aria.audio_files",
    ),
    Defect(
        "new table that nobody thought of",
        "CREATE TABLE aria.invoices (practice_id uuid NOT NULL, id uuid PRIMARY KEY)",
        "rls_enabled",
        "aria.invoices",
    ),
    Defect(
        "partition without it",
        "ALTER TABLE aria.transcripts_2026 DISABLE ROW LEVEL SECURITY",
        "rls_enabled",
        "aria.transcripts_2026",
    ),
    Defect(
        "partitioned parent without it",
        "ALTER TABLE aria.transcripts DISABLE ROW LEVEL SECURITY",
        "rls_enabled",
        "aria.transcripts",
    ),
    Defect("not forced", "ALTER TABLE aria.patients NO FORCE ROW LEVEL SECURITY", "rls_forced", "aria.patients"),
    Defect(
        "no policy for a granted command",
        "GRANT DELETE ON aria.audit_logs TO {prefix}app",
        "policy_commands",
        "aria.audit_logs",
    ),
    Defect("USING (true)", "ALTER POLICY tenant ON aria.patients USING (true)", "policy_always_true", "aria.patients"),
    Defect(
        "true in other words",
        "CREATE POLICY more ON aria.patients FOR SELECT USING (practice_id IS NOT NULL)",
        "policy_always_true",
        "aria.patients policy more",
    ),
    Defect(
        "OR true",
        "ALTER POLICY tenant ON aria.patients USING (practice_id = (SELECT aria.tenant()) OR 1 = 1)",
        "policy_always_true",
        "aria.patients",
    ),
    Defect(
        "WITH CHECK (true)",
        "ALTER POLICY tenant ON aria.patients WITH CHECK (true)",
        "policy_always_true",
        "aria.patients",
    ),
    Defect(
        "INSERT for everybody",
        "ALTER POLICY written ON aria.audit_logs WITH CHECK (what <> '')",
        "policy_always_true",
        "aria.audit_logs policy written",
    ),
    Defect(
        "policy that does not look at the row",
        "CREATE POLICY login ON aria.patients FOR SELECT USING ((SELECT aria.tenant()) IS NOT NULL)",
        "policy_blind",
        "aria.patients policy login",
    ),
    Defect(
        "policy that looks at another column",
        "CREATE POLICY mine ON aria.patients FOR SELECT USING (email = (SELECT current_setting('app.mail', true)))",
        "policy_ignores_tenant",
        "aria.patients policy mine",
    ),
    Defect(
        "function for each row",
        "ALTER POLICY tenant ON aria.patients USING (practice_id = aria.tenant())",
        "policy_per_row",
        "aria.patients",
    ),
    Defect("VOLATILE function", "ALTER FUNCTION aria.tenant() VOLATILE", "policy_volatile", "aria.patients"),
    Defect(
        "claims that users edit",
        "ALTER POLICY tenant ON aria.patients USING (practice_id = (SELECT (current_setting('request.jwt.claims',"
        " true)::jsonb -> 'user_metadata' ->> 'practice_id')::uuid))",
        "claims_editable",
        "aria.patients",
    ),
    Defect(
        "claims that users edit, in a function",
        "CREATE OR REPLACE FUNCTION aria.tenant() RETURNS uuid LANGUAGE sql STABLE AS"
        " $$ SELECT (current_setting('request.jwt.claims', true)::jsonb -> 'raw_user_meta_data' ->> 'p')::uuid $$",
        "claims_editable",
        "aria.patients",
    ),
    Defect(
        "policy that asks a table without protection",
        "CREATE TABLE aria.members (login name, practice uuid); GRANT SELECT, INSERT ON aria.members TO {prefix}app;"
        " CREATE POLICY members ON aria.patients FOR SELECT USING (practice_id IN (SELECT practice FROM aria.members"
        " WHERE login = current_user))",
        "lookup_writable",
        "aria.patients policy members",
    ),
    Defect(
        "row without a tenant",
        "ALTER TABLE aria.audit_logs ALTER practice_id DROP NOT NULL",
        "tenant_nullable",
        "aria.audit_logs",
    ),
    Defect("BYPASSRLS", "ALTER ROLE {prefix}app BYPASSRLS", "bypass_reachable", "app"),
    Defect(
        "BYPASSRLS through two memberships",
        "CREATE ROLE {prefix}admin BYPASSRLS; CREATE ROLE {prefix}support; GRANT {prefix}admin TO {prefix}support;"
        " GRANT {prefix}support TO {prefix}app",
        "bypass_reachable",
        "app",
    ),
    Defect("member of the owner", "GRANT {prefix}owner TO {prefix}app", "owner_reachable", "app"),
    Defect(
        "view that reads as its owner",
        "CREATE VIEW aria.names AS SELECT practice_id, name FROM aria.patients;"
        " GRANT SELECT ON aria.names TO {prefix}report",
        "view_as_owner",
        "aria.names",
    ),
    Defect(
        "view over a view",
        "CREATE VIEW aria.bodies AS SELECT body FROM aria.recent; GRANT SELECT ON aria.bodies TO {prefix}app",
        "view_as_owner",
        "aria.bodies",
    ),
    Defect(
        "materialised copy",
        "CREATE MATERIALIZED VIEW aria.counts AS SELECT practice_id, count(*) FROM aria.patients GROUP BY 1;"
        " GRANT SELECT ON aria.counts TO {prefix}app",
        "materialised_copy",
        "aria.counts",
    ),
    Defect(
        "SECURITY DEFINER without search_path",
        "CREATE FUNCTION aria.total() RETURNS bigint SECURITY DEFINER LANGUAGE sql AS"
        " $$ SELECT count(*) FROM aria.patients $$; REVOKE EXECUTE ON FUNCTION aria.total() FROM PUBLIC",
        "definer_search_path",
        "aria.total",
    ),
    Defect(
        "SECURITY DEFINER for PUBLIC",
        "CREATE FUNCTION aria.total() RETURNS bigint SECURITY DEFINER SET search_path = '' LANGUAGE sql AS"
        " $$ SELECT count(*) FROM aria.patients $$",
        "definer_public",
        "aria.total",
    ),
    Defect(
        "foreign key across tenants",
        "ALTER TABLE aria.audio_files ADD FOREIGN KEY (patient_id) REFERENCES aria.patients (id)",
        "foreign_key_across",
        "aria.audio_files",
    ),
    Defect(
        "unique across tenants",
        "ALTER TABLE aria.patients ADD UNIQUE (email)",
        "unique_across",
        "aria.patients",
    ),
    Defect(
        "publication of a table", "CREATE PUBLICATION {prefix}p FOR TABLE aria.patients", "published", "publication"
    ),
    Defect(
        "tenant by default",
        "ALTER ROLE {prefix}app SET app.tenant_id = '11111111-1111-4111-8111-111111111111'",
        "tenant_preset",
        "app",
    ),
    Defect("TRUNCATE", "GRANT TRUNCATE ON aria.patients TO {prefix}app", "beyond_policies", "aria.patients"),
    # What an identity can do. Most of these are also found by a rule; here the attempt must find it.
    Defect(
        "SELECT of all",
        "CREATE POLICY all_rows ON aria.patients FOR SELECT USING (true)",
        MATRIX,
        "SELECT aria.patients",
    ),
    Defect(
        "DELETE of all, hidden by a good SELECT",
        "CREATE POLICY all_rows ON aria.patients FOR DELETE USING (true)",
        MATRIX,
        "harbour: DELETE aria.patients",
    ),
    Defect(
        "UPDATE of all, hidden by a good SELECT",
        "CREATE POLICY all_rows ON aria.transcripts FOR UPDATE USING (true)"
        " WITH CHECK (practice_id = (SELECT aria.tenant()))",
        MATRIX,
        "harbour: UPDATE aria.transcripts",
    ),
    Defect(
        "rows can be given away",
        "CREATE POLICY away ON aria.audio_files FOR UPDATE USING (practice_id = (SELECT aria.tenant()))"
        " WITH CHECK (seconds > 0)",
        MATRIX,
        "harbour: UPDATE aria.audio_files",
    ),
    Defect(
        "INSERT for others",
        "CREATE POLICY more ON aria.audit_logs FOR INSERT WITH CHECK (length(what) < 1000)",
        MATRIX,
        "hill: INSERT aria.audit_logs",
    ),
    Defect(
        "no tenant is everybody",
        "ALTER POLICY tenant ON aria.patients"
        " USING (practice_id = (SELECT aria.tenant()) OR (SELECT aria.tenant()) IS NULL)",
        MATRIX,
        "nobody",
    ),
    Defect(
        "the empty setting is cast",
        "CREATE OR REPLACE FUNCTION aria.tenant() RETURNS uuid LANGUAGE sql STABLE AS"
        " $$ SELECT current_setting('app.tenant_id', true)::uuid $$",
        MATRIX,
        "settings empty",
    ),
    Defect(
        "partition opened to the application",
        "ALTER TABLE aria.transcripts_2026 DISABLE ROW LEVEL SECURITY;"
        " GRANT SELECT ON aria.transcripts_2026 TO {prefix}report",
        MATRIX,
        "harbour report: SELECT aria.transcripts_2026",
    ),
    Defect(
        "view that shows all tenants",
        "CREATE VIEW aria.names AS SELECT practice_id, name FROM aria.patients;"
        " GRANT SELECT ON aria.names TO {prefix}report",
        MATRIX,
        "harbour report: SELECT aria.names",
    ),
    Defect(
        "own rows are refused, too",
        "ALTER POLICY tenant ON aria.audio_files USING (false)",
        MATRIX,
        "harbour: SELECT aria.audio_files",
    ),
    Defect(
        "policy of an empty table that is not tried in vain",
        "TRUNCATE aria.transcripts; ALTER POLICY tenant ON aria.transcripts USING (true)",
        MATRIX,
        "harbour: SELECT aria.transcripts",
    ),
)
