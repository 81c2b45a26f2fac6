"""What the UI says of an asset beside its description: whose it is, and which columns it writes."""

import dagster as dg

OWNERS = ["team:revenue-operations"]

Described = tuple[str, str, str]

OF_IMPORT: tuple[Described, ...] = (
    ("id", "uuid", ""),
    ("first_name", "text", "with last_name; or full_name alone"),
    ("last_name", "text", ""),
    ("email", "text", "where phase 2 knows one; it is verified like any other"),
    ("company_domain", "text", "what finders and guesses need"),
    ("linkedin_url", "text", "what some finders and enrichers take besides"),
    ("lead_score", "integer", "higher is asked about first"),
    ("lead_tier", "text", "A, B or C: how deep the lead is enriched"),
    ("status", "text", "duplicate, invalid and cross_campaign_duplicate are left alone"),
)
OF_EMAILS: tuple[Described, ...] = (
    ("email", "text", "the accepted address; phase 2's stays unless an accepted one replaces it"),
    ("email_status", "text", "valid, risky, catchall, invalid, disposable, role_based, unknown, not_found"),
    ("email_provider", "text", "who found it: a finder, delivered, pattern_guess"),
    ("email_verifier", "text", "who verified it"),
    ("email_confidence", "integer", "0 to 100, where the provider tells"),
    ("email_verified_at", "timestamptz", "when the status was written"),
    ("email_cost", "numeric(12,6)", "USD of all calls for this lead, unknown bills at their worst"),
)
OF_ENRICHMENT: tuple[Described, ...] = (
    ("company_description", "text", "required for every tier"),
    ("company_industry", "text", "phase 2's stays; required for tiers A and B"),
    ("company_employee_count", "integer", "required for tier A"),
    ("company_revenue_range", "text", "as the provider spells it"),
    ("company_founded_year", "integer", ""),
    ("company_tech_stack", "jsonb", "list of technologies"),
    ("company_keywords", "jsonb", "list of words"),
    ("enrichment_data", "jsonb", "everything that was told, by source"),
    ("enrichment_status", "text", "enriched, partial (a required field is missing), failed"),
    ("enrichment_cost", "numeric(12,6)", "USD of all calls for this lead, unknown bills at their worst"),
    ("enrichment_completed_at", "timestamptz", "when the status was written"),
    ("enriched_as", "text", "the lead's tier then; moved to a better one, it is enriched again"),
)
OF_REPORT: tuple[Described, ...] = (
    ("total_leads_ready", "integer", "leads with an accepted address and every required field"),
    ("verification_summary", "jsonb", "the report, with what each agent left"),
    ("verified_lead_list_url", "text", "the workbook"),
    ("verification_completed_at", "timestamptz", "when the report was made"),
)

OF_DECISION: tuple[Described, ...] = (
    ("status", "text", "approved_for_personalization, re_enrichment_requested, rejected"),
    ("personalization_scope", "text", "tier_a_and_b or tier_a_only: whom the view approved_leads shows"),
    ("approved_by", "text", "who, where it was approved"),
    ("approved_at", "timestamptz", "when, where it was approved"),
)

Columns = dict[str, tuple[str, ...]]  # of the assets before, `asset.column`
FROM_LEADS: Columns = {
    "email": (
        "campaign_leads.email",
        "campaign_leads.first_name",
        "campaign_leads.last_name",
        "campaign_leads.company_domain",
        "campaign_leads.linkedin_url",
    ),
    "email_status": ("campaign_leads.email",),
}
_COMPANY = ("verified_emails.email", "campaign_leads.company_domain", "campaign_leads.lead_tier")
FROM_EMAILS: Columns = {
    "company_description": _COMPANY,
    "company_industry": _COMPANY,
    "company_employee_count": _COMPANY,
    "company_tech_stack": _COMPANY,
    "enrichment_data": _COMPANY,
    "enrichment_status": ("verified_emails.email_status", "campaign_leads.lead_tier"),
}
FROM_ENRICHED: Columns = {
    "total_leads_ready": ("verified_emails.email_status", "enriched_leads.enrichment_status"),
    "verification_summary": (
        "verified_emails.email_status",
        "verified_emails.email_cost",
        "enriched_leads.enrichment_status",
        "enriched_leads.enrichment_cost",
    ),
    "verified_lead_list_url": ("verified_emails.email", "enriched_leads.enrichment_status"),
}


def lineage(columns: Columns) -> dict[str, dg.TableColumnLineage]:
    """As the metadata of a materialization: which columns each column was made of."""
    return {
        "dagster/column_lineage": dg.TableColumnLineage({name: _made_of(columns[name]) for name in columns})
    }


def _made_of(names: tuple[str, ...]) -> list[dg.TableColumnDep]:
    pairs = (name.split(".") for name in names)
    return [dg.TableColumnDep(dg.AssetKey(asset), column) for asset, column in pairs]


def schema(columns: tuple[Described, ...]) -> dict[str, dg.TableSchema]:
    """As the metadata of an asset's definition."""
    described = [dg.TableColumn(name, of, description=what or None) for name, of, what in columns]
    return {"dagster/column_schema": dg.TableSchema(described)}
