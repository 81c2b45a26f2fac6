"""The tier that a lead was enriched for: phase 2 may move it to one that wants more.

Of leads that were enriched before nobody knows; they stand as they are.
"""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

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
        AND coalesce(lead.enriched_as <= phase3_tier(lead.lead_tier), true)
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
    op.execute("ALTER TABLE leads ADD COLUMN enriched_as text")
    op.execute(APPROVED_LEADS)
