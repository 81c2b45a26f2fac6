"""Who is on the suppression list, in the words that calls and leads are known by.

`suppressed_at` is set by runs on leads that the list names; `suppressed_by` is a digest of the entry where
that names an address which a vendor told of, and which is not kept.

What entries mean is told by functions that the planner neither looks into nor holds to be cheap: it would
read the whole list for every call otherwise, as long as it knows nothing of it. They call no other of ours:
the server analyzes an index without our schema on its path.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

READERS = (
    r"""
    CREATE FUNCTION phase3_mailbox(email text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 10000 AS $$
    BEGIN
        RETURN ltrim(regexp_replace(lower(btrim(email)), '^([^@+]+)\+[^@]*@', '\1@'), '@');
    END
    $$
    """,
    r"""
    CREATE FUNCTION phase3_listed_domain(domain text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 10000 AS $$
    BEGIN
        RETURN coalesce(substring(lower(btrim(domain)) FROM
            '^(?:(?:[a-z][a-z0-9+.-]*:)?//)?(?:[^/@]*@)?(?:www\.)?([^/:?#\s]+\.[^/:?#\s.]+)'), '');
    END
    $$
    """,
    """
    CREATE FUNCTION phase3_domains(domain text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT coalesce(array_agg(array_to_string(labels[place:], '.')), '{}')
        FROM string_to_array(domain, '.') AS labels, generate_series(1, cardinality(labels) - 1) AS place
    $$
    """,
)

LIST = (
    "CREATE INDEX suppression_list_mailbox_idx ON suppression_list (phase3_mailbox(email))",
    "CREATE INDEX suppression_list_bare_domain_idx ON suppression_list (phase3_listed_domain(domain))",
    """
    CREATE VIEW suppressed_subjects AS
    SELECT phase3_mailbox(email) AS subject FROM suppression_list
    UNION ALL
    SELECT phase3_listed_domain(domain) FROM suppression_list
    """,
)

LEADS = """
    ALTER TABLE leads ADD COLUMN suppressed_at timestamptz, ADD COLUMN suppressed_by text
"""

APPROVED_LEADS = """
    CREATE OR REPLACE VIEW approved_leads AS
    SELECT lead.id, lead.campaign_id, campaign.name AS campaign_name,
        phase3_tier(lead.lead_tier) AS lead_tier, -phase3_rank(lead.lead_score) AS lead_score,
        lead.first_name, lead.last_name, lead.full_name, lead.email, lead.email_status, lead.title,
        lead.linkedin_url, lead.company_name, phase3_domain(lead.company_domain) AS company_domain,
        lead.company_description, lead.company_industry, lead.company_employee_count,
        lead.company_revenue_range, lead.company_founded_year, lead.company_tech_stack,
        lead.company_keywords, lead.enrichment_data,
        campaign.personalization_scope, campaign.approved_at, campaign.approved_by
    FROM leads AS lead
    JOIN campaigns AS campaign ON campaign.id = lead.campaign_id
    WHERE campaign.status::text = 'approved_for_personalization'
        AND phase3_tier(lead.lead_tier) = ANY (CASE campaign.personalization_scope
            WHEN 'tier_a_only' THEN ARRAY['A']
            WHEN 'tier_a_and_b' THEN ARRAY['A', 'B']
            ELSE ARRAY[]::text[] END)
        AND lead.email_status IN ('valid', 'risky')
        AND lead.enrichment_status = 'enriched'
        AND coalesce(lead.status::text, '') NOT IN ('duplicate', 'invalid', 'cross_campaign_duplicate')
        AND lead.suppressed_at IS NULL
        AND NOT EXISTS (
            SELECT FROM suppressed_subjects AS listed
            WHERE listed.subject = ANY (
                phase3_mailbox(lead.email::text)
                || phase3_domains(split_part(phase3_mailbox(lead.email::text), '@', 2))
                || phase3_domains(phase3_domain(lead.company_domain))))
"""


def upgrade() -> None:
    """As driver SQL: the patterns in it hold colons that are no parameters."""
    connection = op.get_bind()
    for statement in (*READERS, *LIST, LEADS, APPROVED_LEADS):
        connection.exec_driver_sql(statement)
