"""What a request for approval is bound to, the messages that wait to be sent, and phase 4's view.

`approved_leads` reads phase 2's columns as text where their type may be an enum.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BINDING = """
    ALTER TABLE approval_requests
        ADD COLUMN binding text,
        ADD COLUMN bound_to jsonb
"""

OUTBOX = (
    """
    CREATE TABLE outbox (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        campaign_id uuid NOT NULL,
        request_id uuid,
        kind text NOT NULL CHECK (kind IN (
            'slack_announce', 'slack_update', 'slack_remind', 'slack_escalate', 'webhook_event')),
        payload jsonb NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        due_at timestamptz NOT NULL DEFAULT now(),
        attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
        sent_at timestamptz,
        withdrawn_at timestamptz,
        error text
    )
    """,
    """
    CREATE INDEX outbox_waiting_idx ON outbox (due_at)
        WHERE sent_at IS NULL AND withdrawn_at IS NULL
    """,
    "CREATE INDEX outbox_request_id_idx ON outbox (request_id)",
)

APPROVED_LEADS = """
    CREATE VIEW approved_leads AS
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
        AND NOT EXISTS (
            SELECT FROM suppression_list AS suppressed
            WHERE lower(suppressed.email) = lower(btrim(lead.email::text)))
        AND NOT EXISTS (
            SELECT FROM suppression_list AS suppressed
            WHERE lower(suppressed.domain) IN (
                split_part(lower(btrim(lead.email::text)), '@', 2), phase3_domain(lead.company_domain)))
"""


def upgrade() -> None:
    """As driver SQL: a cast's colons are no parameters."""
    connection = op.get_bind()
    for statement in (BINDING, *OUTBOX, APPROVED_LEADS):
        connection.exec_driver_sql(statement)
