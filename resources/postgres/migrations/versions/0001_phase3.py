"""The tables of phase 3, beside whatever phase 2 has made already.

`campaigns`, `leads` and `suppression_list` may be there: they get the columns they lack and nothing else
about them changes. The other tables are ours alone; one of the same name is a mistake to be told of.

phase3_tier, phase3_rank and phase3_domain read phase 2's columns whatever their type; they are functions
because an index on a cast from an enum is refused. They are never changed in place: their indexes would lie.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

READERS = (
    """
    CREATE OR REPLACE FUNCTION phase3_tier(tier anyelement) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT CASE upper(btrim(tier::text)) WHEN 'A' THEN 'A' WHEN 'B' THEN 'B' ELSE 'C' END
    $$
    """,
    """
    CREATE OR REPLACE FUNCTION phase3_rank(score anyelement) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT -coalesce(score::numeric, 0)::integer
    $$
    """,
    r"""
    CREATE OR REPLACE FUNCTION phase3_domain(domain text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT coalesce(substring(lower(btrim(domain)) FROM
            '^(?:(?:[a-z][a-z0-9+.-]*:)?//)?(?:[^/@]*@)?(?:www\.)?([^/:?#\s]+\.[^/:?#\s.]+)'), '')
    $$
    """,
)

CAMPAIGNS = (
    "CREATE TABLE IF NOT EXISTS campaigns (id uuid PRIMARY KEY DEFAULT gen_random_uuid())",
    """
    ALTER TABLE campaigns
        ADD COLUMN IF NOT EXISTS niche_id uuid,
        ADD COLUMN IF NOT EXISTS niche_name text,
        ADD COLUMN IF NOT EXISTS name text,
        ADD COLUMN IF NOT EXISTS description text,
        ADD COLUMN IF NOT EXISTS status text,
        ADD COLUMN IF NOT EXISTS target_leads integer,
        ADD COLUMN IF NOT EXISTS total_leads_scraped integer,
        ADD COLUMN IF NOT EXISTS scraping_cost numeric(12,6),
        ADD COLUMN IF NOT EXISTS total_leads_valid integer,
        ADD COLUMN IF NOT EXISTS total_leads_available integer,
        ADD COLUMN IF NOT EXISTS leads_scored integer,
        ADD COLUMN IF NOT EXISTS avg_lead_score numeric(6,2),
        ADD COLUMN IF NOT EXISTS leads_tier_a integer,
        ADD COLUMN IF NOT EXISTS leads_tier_b integer,
        ADD COLUMN IF NOT EXISTS leads_tier_c integer,
        ADD COLUMN IF NOT EXISTS lead_list_url text,
        ADD COLUMN IF NOT EXISTS import_summary jsonb,
        ADD COLUMN IF NOT EXISTS import_completed_at timestamptz,
        ADD COLUMN IF NOT EXISTS leads_approved_at timestamptz,
        ADD COLUMN IF NOT EXISTS leads_approved_by text,
        ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
        ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now(),
        ADD COLUMN IF NOT EXISTS emails_found integer CHECK (emails_found >= 0),
        ADD COLUMN IF NOT EXISTS emails_verified integer CHECK (emails_verified >= 0),
        ADD COLUMN IF NOT EXISTS email_verification_cost numeric(12,6) CHECK (email_verification_cost >= 0),
        ADD COLUMN IF NOT EXISTS email_verification_completed_at timestamptz,
        ADD COLUMN IF NOT EXISTS leads_enriched integer CHECK (leads_enriched >= 0),
        ADD COLUMN IF NOT EXISTS enrichment_cost numeric(12,6) CHECK (enrichment_cost >= 0),
        ADD COLUMN IF NOT EXISTS enrichment_completed_at timestamptz,
        ADD COLUMN IF NOT EXISTS verified_lead_list_url text,
        ADD COLUMN IF NOT EXISTS verification_summary jsonb,
        ADD COLUMN IF NOT EXISTS total_leads_ready integer CHECK (total_leads_ready >= 0),
        ADD COLUMN IF NOT EXISTS verification_completed_at timestamptz,
        ADD COLUMN IF NOT EXISTS personalization_scope text
            CHECK (personalization_scope IN ('tier_a_and_b', 'tier_a_only')),
        ADD COLUMN IF NOT EXISTS approved_at timestamptz,
        ADD COLUMN IF NOT EXISTS approved_by text,
        ADD COLUMN IF NOT EXISTS status_reason text
    """,
)

# Where phase 2 made the status an enum, it learns our words.
STATUSES = """
    DO $$
    DECLARE
        type regtype := (SELECT atttypid FROM pg_attribute
            JOIN pg_type ON pg_type.oid = atttypid AND typtype = 'e'
            WHERE attrelid = 'campaigns'::regclass AND attname = 'status');
        word text;
    BEGIN
        FOREACH word IN ARRAY ARRAY[
            'import_complete', 'verifying_emails', 'emails_verified', 'enriching', 'enriched',
            'verification_complete', 'approved_for_personalization', 'rejected', 're_enrichment_requested',
            'phase3_failed', 'phase3_stopped'] LOOP
            EXIT WHEN type IS NULL;
            EXECUTE 'ALTER TYPE ' || type || ' ADD VALUE IF NOT EXISTS ' || quote_literal(word);
        END LOOP;
    END
    $$
"""

LEADS = (
    """
    CREATE TABLE IF NOT EXISTS leads (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        campaign_id uuid NOT NULL REFERENCES campaigns (id)
    )
    """,
    """
    ALTER TABLE leads
        ADD COLUMN IF NOT EXISTS first_name text,
        ADD COLUMN IF NOT EXISTS last_name text,
        ADD COLUMN IF NOT EXISTS full_name text,
        ADD COLUMN IF NOT EXISTS email text,
        ADD COLUMN IF NOT EXISTS phone text,
        ADD COLUMN IF NOT EXISTS linkedin_url text,
        ADD COLUMN IF NOT EXISTS title text,
        ADD COLUMN IF NOT EXISTS seniority text,
        ADD COLUMN IF NOT EXISTS department text,
        ADD COLUMN IF NOT EXISTS company_name text,
        ADD COLUMN IF NOT EXISTS company_domain text,
        ADD COLUMN IF NOT EXISTS company_linkedin_url text,
        ADD COLUMN IF NOT EXISTS company_size text,
        ADD COLUMN IF NOT EXISTS company_industry text,
        ADD COLUMN IF NOT EXISTS location text,
        ADD COLUMN IF NOT EXISTS city text,
        ADD COLUMN IF NOT EXISTS state text,
        ADD COLUMN IF NOT EXISTS country text,
        ADD COLUMN IF NOT EXISTS status text,
        ADD COLUMN IF NOT EXISTS lead_score integer,
        ADD COLUMN IF NOT EXISTS lead_tier text,
        ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
        ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now(),
        ADD COLUMN IF NOT EXISTS email_status text CHECK (email_status IN (
            'valid', 'risky', 'catchall', 'invalid', 'disposable', 'role_based', 'unknown', 'not_found')),
        ADD COLUMN IF NOT EXISTS email_provider text,
        ADD COLUMN IF NOT EXISTS email_verifier text,
        ADD COLUMN IF NOT EXISTS email_confidence integer,
        ADD COLUMN IF NOT EXISTS email_verified_at timestamptz,
        ADD COLUMN IF NOT EXISTS email_cost numeric(12,6) CHECK (email_cost >= 0),
        ADD COLUMN IF NOT EXISTS delivered_email text,
        ADD COLUMN IF NOT EXISTS company_description text,
        ADD COLUMN IF NOT EXISTS company_employee_count integer,
        ADD COLUMN IF NOT EXISTS company_revenue_range text,
        ADD COLUMN IF NOT EXISTS company_founded_year integer,
        ADD COLUMN IF NOT EXISTS company_tech_stack jsonb,
        ADD COLUMN IF NOT EXISTS company_keywords jsonb,
        ADD COLUMN IF NOT EXISTS enrichment_data jsonb,
        ADD COLUMN IF NOT EXISTS enrichment_status text
            CHECK (enrichment_status IN ('enriched', 'partial', 'failed')),
        ADD COLUMN IF NOT EXISTS enrichment_cost numeric(12,6) CHECK (enrichment_cost >= 0),
        ADD COLUMN IF NOT EXISTS enrichment_completed_at timestamptz
    """,
    """
    CREATE INDEX IF NOT EXISTS leads_phase3_page_idx
        ON leads (campaign_id, phase3_tier(lead_tier), phase3_rank(lead_score), id)
    """,
    """
    CREATE INDEX IF NOT EXISTS leads_phase3_domain_idx
        ON leads (campaign_id, phase3_domain(company_domain))
    """,
)

PROVIDER_CALLS = (
    """
    CREATE TABLE provider_calls (
        key bytea PRIMARY KEY,
        provider text NOT NULL,
        operation text NOT NULL,
        request jsonb NOT NULL,
        state text NOT NULL CHECK (state IN ('intent', 'settled', 'unknown')),
        outcome text,
        cost_usd numeric(12,6) NOT NULL DEFAULT 0 CHECK (cost_usd >= 0),
        reserved_usd numeric(12,6) NOT NULL DEFAULT 0 CHECK (reserved_usd >= 0),
        unknown_usd numeric(12,6) NOT NULL DEFAULT 0 CHECK (unknown_usd >= 0),
        attempt smallint NOT NULL DEFAULT 1 CHECK (attempt >= 1),
        losses smallint NOT NULL DEFAULT 0 CHECK (losses >= 0),
        http_status smallint,
        response jsonb,
        error text,
        job_id text,
        response_time_ms integer CHECK (response_time_ms >= 0),
        campaign_id uuid,
        lead_id uuid,
        agent text,
        run_id text,
        created_at timestamptz NOT NULL DEFAULT now(),
        asked_at timestamptz,
        lost_after timestamptz,
        settled_at timestamptz,
        expires_at timestamptz
    ) WITH (fillfactor = 80) -- a call is written twice; the second time fits beside the first
    """,
    "CREATE INDEX ON provider_calls (campaign_id, agent)",
    "CREATE INDEX ON provider_calls (lead_id)",
)

WORKFLOW = (
    """
    CREATE TABLE workflow_checkpoints (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        workflow_id text NOT NULL,
        workflow_type text NOT NULL DEFAULT 'phase3',
        agent_id text NOT NULL,
        step_id text NOT NULL,
        status text NOT NULL,
        campaign_id uuid NOT NULL,
        items_processed integer NOT NULL DEFAULT 0 CHECK (items_processed >= 0),
        items_total integer NOT NULL DEFAULT 0 CHECK (items_total >= 0),
        output_data jsonb,
        error_message text,
        started_at timestamptz NOT NULL DEFAULT now(),
        completed_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (workflow_id, agent_id, step_id)
    )
    """,
    "CREATE INDEX ON workflow_checkpoints (campaign_id, agent_id)",
    """
    CREATE TABLE saga_steps (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        run_id text NOT NULL,
        campaign_id uuid NOT NULL,
        step text NOT NULL,
        state text NOT NULL CHECK (state IN ('done', 'compensating', 'compensated', 'failed')),
        undo jsonb NOT NULL,
        error text,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX ON saga_steps (run_id)",
)

DECISIONS = (
    """
    CREATE TABLE approval_requests (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        campaign_id uuid NOT NULL,
        run_id text NOT NULL,
        status text NOT NULL DEFAULT 'pending' CHECK (status IN (
            'pending', 'approved_full', 'approved_tier_a', 'more_enrichment', 'rejected', 'auto_approved',
            'withdrawn')),
        summary jsonb NOT NULL,
        feedback text,
        requested_at timestamptz NOT NULL DEFAULT now(),
        reminded_at timestamptz,
        escalated_at timestamptz,
        decided_at timestamptz,
        decided_by text,
        channel jsonb
    )
    """,
    """
    CREATE UNIQUE INDEX approval_requests_one_pending_idx
        ON approval_requests (campaign_id) WHERE status = 'pending'
    """,
    """
    CREATE TABLE campaign_audit_log (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        campaign_id uuid NOT NULL,
        action text NOT NULL,
        actor text NOT NULL,
        actor_type text NOT NULL CHECK (actor_type IN ('agent', 'human', 'system')),
        details jsonb NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    "CREATE INDEX ON campaign_audit_log (campaign_id, created_at)",
    """
    CREATE FUNCTION phase3_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION USING
            MESSAGE = 'campaign_audit_log is append-only', ERRCODE = 'restrict_violation';
    END
    $$
    """,
    """
    CREATE TRIGGER campaign_audit_log_append_only
        BEFORE UPDATE OR DELETE OR TRUNCATE ON campaign_audit_log
        FOR EACH STATEMENT EXECUTE FUNCTION phase3_append_only()
    """,
)

SUPPRESSION = (
    """
    CREATE TABLE IF NOT EXISTS suppression_list (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        email text,
        domain text,
        CONSTRAINT suppression_list_names_someone_check CHECK (email IS NOT NULL OR domain IS NOT NULL)
    )
    """,
    """
    ALTER TABLE suppression_list
        ADD COLUMN IF NOT EXISTS email text,
        ADD COLUMN IF NOT EXISTS domain text,
        ADD COLUMN IF NOT EXISTS reason text,
        ADD COLUMN IF NOT EXISTS source text,
        ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now()
    """,
    "CREATE INDEX IF NOT EXISTS suppression_list_email_idx ON suppression_list (lower(email))",
    "CREATE INDEX IF NOT EXISTS suppression_list_domain_idx ON suppression_list (lower(domain))",
)


def upgrade() -> None:
    """As driver SQL: the patterns in it hold colons that are no parameters."""
    connection = op.get_bind()
    phase2 = (*READERS, *CAMPAIGNS, STATUSES, *LEADS)
    for statement in (*phase2, *PROVIDER_CALLS, *WORKFLOW, *DECISIONS, *SUPPRESSION):
        connection.exec_driver_sql(statement)
