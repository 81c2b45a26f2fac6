"""Every table of phase 3. The migrations make them; a test holds the two against each other.

`campaigns` and `leads` are phase 2's: their columns may have other types than here, and other statuses.
Nothing of ours has a foreign key to them, so that phase 2 stays free to delete its rows; what was
spent and decided outlives them.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from phase3_core.reconciliation import Agreement
from phase3_core.statuses import ApprovalStatus, EmailStatus, EnrichmentStatus, OutboxKind
from phase3_core.tiers import Tier
from resources.postgres.columns import (
    TIME,
    USD,
    BareDomain,
    LeadRank,
    LeadTier,
    ListedDomain,
    Mailbox,
    Word,
    identity,
    moment,
    never_negative,
    one_of,
)

metadata = MetaData(
    naming_convention={  # the names that PostgreSQL itself gives
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

campaigns = Table(
    "campaigns",
    metadata,
    identity(),
    Column("niche_id", Uuid),
    Column("niche_name", Text),
    Column("name", Text),
    Column("description", Text),
    Column("status", Word),
    Column("target_leads", Integer),
    Column("total_leads_scraped", Integer),
    Column("scraping_cost", USD),
    Column("total_leads_valid", Integer),
    Column("total_leads_available", Integer),
    Column("leads_scored", Integer),
    Column("avg_lead_score", Numeric(6, 2)),
    Column("leads_tier_a", Integer),
    Column("leads_tier_b", Integer),
    Column("leads_tier_c", Integer),
    Column("lead_list_url", Text),
    Column("import_summary", JSONB),
    Column("import_completed_at", TIME),
    Column("leads_approved_at", TIME),
    Column("leads_approved_by", Text),
    moment("created_at"),
    moment("updated_at"),
    # from here on ours
    Column("emails_found", Integer),
    Column("emails_verified", Integer),
    Column("email_verification_cost", USD),
    Column("email_verification_completed_at", TIME),
    Column("leads_enriched", Integer),
    Column("enrichment_cost", USD),
    Column("enrichment_completed_at", TIME),
    Column("verified_lead_list_url", Text),
    Column("verification_summary", JSONB),
    Column("total_leads_ready", Integer),
    Column("verification_completed_at", TIME),
    Column("personalization_scope", Text),
    Column("approved_at", TIME),
    Column("approved_by", Text),
    Column("status_reason", Text),
    Column("budgets", JSONB),  # its own caps, where they differ from the settings
    never_negative("emails_found"),
    never_negative("emails_verified"),
    never_negative("email_verification_cost"),
    never_negative("leads_enriched"),
    never_negative("enrichment_cost"),
    never_negative("total_leads_ready"),
    one_of("personalization_scope", ("tier_a_and_b", "tier_a_only")),
)

leads = Table(
    "leads",
    metadata,
    identity(),
    Column("campaign_id", Uuid, ForeignKey("campaigns.id"), nullable=False),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("full_name", Text),
    Column("email", Text),
    Column("phone", Text),
    Column("linkedin_url", Text),
    Column("title", Text),
    Column("seniority", Text),
    Column("department", Text),
    Column("company_name", Text),
    Column("company_domain", Text),
    Column("company_linkedin_url", Text),
    Column("company_size", Text),
    Column("company_industry", Text),
    Column("location", Text),
    Column("city", Text),
    Column("state", Text),
    Column("country", Text),
    Column("status", Text),
    Column("lead_score", Integer),
    Column("lead_tier", Text),
    moment("created_at"),
    moment("updated_at"),
    # from here on ours
    Column("email_status", Text),
    Column("email_provider", Text),
    Column("email_verifier", Text),
    Column("email_confidence", Integer),
    Column("email_verified_at", TIME),
    Column("email_cost", USD),
    Column("delivered_email", Text),  # phase 2's address, where an accepted one replaced it
    Column("company_description", Text),
    Column("company_employee_count", Integer),
    Column("company_revenue_range", Text),
    Column("company_founded_year", Integer),
    Column("company_tech_stack", JSONB),
    Column("company_keywords", JSONB),
    Column("enrichment_data", JSONB),
    Column("enrichment_status", Text),
    Column("enrichment_cost", USD),
    Column("enrichment_completed_at", TIME),
    Column("enriched_as", Text),  # the tier that it was then
    Column("suppressed_at", TIME),
    Column("suppressed_by", Text),  # digest of the entry, where it names an address that is not kept
    Column("erased_at", TIME),  # nothing is kept of the person
    one_of("email_status", EmailStatus),
    never_negative("email_cost"),
    one_of("enrichment_status", EnrichmentStatus),
    never_negative("enrichment_cost"),
)

lead_tier = LeadTier(leads.c.lead_tier)
lead_rank = LeadRank(leads.c.lead_score)
lead_domain = BareDomain(leads.c.company_domain)
Index("leads_phase3_page_idx", leads.c.campaign_id, lead_tier, lead_rank, leads.c.id)
Index("leads_phase3_domain_idx", leads.c.campaign_id, lead_domain)
Index(
    "leads_phase3_to_erase_idx",
    leads.c.campaign_id,
    leads.c.id,
    postgresql_where=leads.c.erased_at.is_(None),
)

provider_calls = Table(
    "provider_calls",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("request", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("outcome", Text),
    Column("cost_usd", USD, nullable=False, server_default=text("0")),
    Column("reserved_usd", USD, nullable=False, server_default=text("0")),
    Column("unknown_usd", USD, nullable=False, server_default=text("0")),
    Column("attempt", SmallInteger, nullable=False, server_default=text("1")),
    Column("losses", SmallInteger, nullable=False, server_default=text("0")),
    Column("grant_id", BigInteger),
    Column("heard", ARRAY(SmallInteger)),
    Column("http_status", SmallInteger),
    Column("response", JSONB),
    Column("error", Text),
    Column("job_id", Text),
    Column("response_time_ms", Integer),
    Column("campaign_id", Uuid),
    Column("lead_id", Uuid),
    Column("agent", Text),
    Column("run_id", Text),
    moment("created_at"),
    Column("asked_at", TIME),
    Column("lost_after", TIME),
    Column("settled_at", TIME),
    Column("expires_at", TIME),
    Column("tier", Text),
    Column("day", Date),  # in UTC, of the newest submission: whose budget of its provider it counts in
    Column("erased_at", TIME),  # neither question nor answer is kept, nor taken any more
    one_of("state", ("intent", "settled", "unknown")),
    one_of("tier", Tier),
    never_negative("cost_usd"),
    never_negative("reserved_usd"),
    never_negative("unknown_usd"),
    CheckConstraint("attempt >= 1", name="attempt"),
    never_negative("losses"),
    never_negative("response_time_ms"),
    Index("provider_calls_campaign_id_agent_idx", "campaign_id", "agent"),
    Index("provider_calls_lead_id_agent_idx", "lead_id", "agent"),
    Index("provider_calls_provider_day_idx", "provider", "day"),
    Index("provider_calls_created_at_idx", "created_at", postgresql_using="brin"),
    Index("provider_calls_in_flight_idx", "provider", postgresql_where=text("state = 'intent'")),
    Index("provider_calls_to_erase_idx", "created_at", postgresql_where=text("erased_at IS NULL")),
)

# Sums of `provider_calls`, kept by its triggers; of calls without a campaign under the id of zeros.
provider_spend = Table(
    "provider_spend",
    metadata,
    Column("campaign_id", Uuid, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("cost_usd", Numeric(18, 6), nullable=False, server_default=text("0")),
    Column("unknown_usd", Numeric(18, 6), nullable=False, server_default=text("0")),
)

# USD of a call that is over: what it cost, and what its lost attempts may have cost.
booked = provider_calls.c.cost_usd + provider_calls.c.unknown_usd

# What a budget caps is named by the columns that are not null; triggers of `provider_calls` keep its sums.
budgets = Table(
    "budgets",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("campaign_id", Uuid),
    Column("agent", Text),
    Column("tier", Text),
    Column("provider", Text),
    Column("day", Date),
    Column("cap_usd", USD, nullable=False),
    Column("spent_usd", USD, nullable=False, server_default=text("0")),
    Column("reserved_usd", USD, nullable=False, server_default=text("0")),
    Column("alerted_at", TIME),
    Column("refused_at", TIME),  # a call was refused for good under this cap
    moment("created_at"),
    moment("updated_at"),
    one_of("tier", Tier),
    never_negative("cap_usd"),
    CheckConstraint("(campaign_id IS NULL) = (provider IS NOT NULL AND day IS NOT NULL)", name="of"),
    Index("budgets_campaign_id_idx", "campaign_id"),
    Index("budgets_provider_day_idx", "provider", "day"),
)

breakers = Table(
    "breakers",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("state", Text, nullable=False, server_default="closed"),
    Column("why", Text),
    Column("open_until", TIME),
    Column("in_a_row", Integer, nullable=False, server_default=text("0")),
    Column("reopened", Integer, nullable=False, server_default=text("0")),
    Column("answered", Integer, nullable=False, server_default=text("0")),
    Column("calls", JSONB, nullable=False, server_default=text("'[]'")),  # [minute, calls, failures]
    Column("probes", JSONB, nullable=False, server_default=text("'[]'")),  # [holder, until]
    Column("out_of_credits_since", TIME),
    moment("updated_at"),
    one_of("state", ("closed", "open", "half_open")),
    never_negative("in_a_row"),
    never_negative("reopened"),
    never_negative("answered"),
    CheckConstraint("state <> 'open' OR open_until IS NOT NULL", name="until"),
)

balance_readings = Table(
    "balance_readings",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("taken_at", TIME, primary_key=True),
    Column("credits", Numeric, nullable=False),
    Column("booked_usd", USD, nullable=False),
    Column("in_doubt_usd", USD, nullable=False),
    Column("price_usd", USD, nullable=False),
    Column("since", TIME, nullable=False),  # the first reading of the span
    Column("span_taken_usd", USD, nullable=False),
    Column("span_booked_usd", USD, nullable=False),
    Column("drift_usd", USD, nullable=False),
    Column("agreement", Text, nullable=False),
    never_negative("in_doubt_usd"),
    never_negative("price_usd"),
    one_of("agreement", Agreement),
)

workflow_checkpoints = Table(
    "workflow_checkpoints",
    metadata,
    identity(),
    Column("workflow_id", Text, nullable=False),
    Column("workflow_type", Text, nullable=False, server_default="phase3"),
    Column("agent_id", Text, nullable=False),
    Column("step_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("campaign_id", Uuid, nullable=False),
    Column("items_processed", Integer, nullable=False, server_default=text("0")),
    Column("items_total", Integer, nullable=False, server_default=text("0")),
    Column("output_data", JSONB),
    Column("error_message", Text),
    moment("started_at"),
    Column("completed_at", TIME),
    moment("created_at"),
    moment("updated_at"),
    UniqueConstraint("workflow_id", "agent_id", "step_id"),
    never_negative("items_processed"),
    never_negative("items_total"),
    Index("workflow_checkpoints_campaign_id_agent_id_idx", "campaign_id", "agent_id"),
)

# One row for each vendor account and kind of request, on the database's time.
rate_limits = Table(
    "rate_limits",
    metadata,
    Column("name", Text, primary_key=True),
    moment("next_at"),
    moment("booked_at"),
    Column("rests_until", TIME, nullable=False, server_default="epoch"),
    Column("strain", Double, nullable=False, server_default=text("1")),
    Column("strained_at", TIME, nullable=False, server_default="epoch"),
    Column("day", Date, nullable=False, server_default="epoch"),
    Column("used_today", Integer, nullable=False, server_default=text("0")),
    CheckConstraint("strain >= 1", name="strain"),
    never_negative("used_today"),
)

rate_limit_places = Table(
    "rate_limit_places",
    metadata,
    Column("name", Text, primary_key=True),
    Column("process", Uuid, primary_key=True),
    Column("held", Integer, nullable=False),
    Column("need", Integer, nullable=False),
    moment("changed_at"),
    moment("seen_at"),
    never_negative("held"),
    never_negative("need"),
)

campaign_leases = Table(
    "campaign_leases",
    metadata,
    Column("campaign_id", Uuid, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    moment("taken_at"),
)

saga_steps = Table(
    "saga_steps",
    metadata,
    identity(),
    Column("run_id", Text, nullable=False),
    Column("campaign_id", Uuid, nullable=False),
    Column("step", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("undo", JSONB, nullable=False),
    Column("error", Text),
    moment("created_at"),
    moment("updated_at"),
    Column("agent", Text, nullable=False),
    Column("place", BigInteger, Identity(always=True), nullable=False),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    one_of("state", ("done", "kept", "compensating", "compensated", "failed")),
    never_negative("attempts"),
    Index("saga_steps_run_id_idx", "run_id"),
    Index(
        "saga_steps_open_idx",
        "run_id",
        postgresql_where=text("state IN ('done', 'compensating', 'failed')"),
    ),
)

approval_requests = Table(
    "approval_requests",
    metadata,
    identity(),
    Column("campaign_id", Uuid, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("status", Text, nullable=False, server_default=ApprovalStatus.PENDING.value),
    Column("summary", JSONB, nullable=False),
    Column("feedback", Text),
    moment("requested_at"),
    Column("reminded_at", TIME),
    Column("escalated_at", TIME),
    Column("decided_at", TIME),
    Column("decided_by", Text),
    Column("channel", JSONB),
    Column("binding", Text),
    Column("bound_to", JSONB),
    one_of("status", ApprovalStatus),
    Index(
        "approval_requests_one_pending_idx",
        "campaign_id",
        unique=True,
        postgresql_where=text("status = 'pending'"),
    ),
)

outbox = Table(
    "outbox",
    metadata,
    identity(),
    Column("campaign_id", Uuid, nullable=False),
    Column("request_id", Uuid),
    Column("kind", Text, nullable=False),
    Column("payload", JSONB, nullable=False, server_default=text("'{}'")),
    Column("created_at", TIME, nullable=False, server_default=func.clock_timestamp()),
    Column("due_at", TIME, nullable=False, server_default=func.now()),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("sent_at", TIME),
    Column("withdrawn_at", TIME),
    Column("error", Text),
    one_of("kind", OutboxKind),
    never_negative("attempts"),
    Index(
        "outbox_waiting_idx",
        "due_at",
        postgresql_where=text("sent_at IS NULL AND withdrawn_at IS NULL"),
    ),
    Index("outbox_request_id_idx", "request_id"),
)

campaign_audit_log = Table(
    "campaign_audit_log",
    metadata,
    identity(),
    Column("campaign_id", Uuid, nullable=False),
    Column("action", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("actor_type", Text, nullable=False),
    Column("details", JSONB, nullable=False, server_default=text("'{}'")),
    Column("created_at", TIME, nullable=False, server_default=func.clock_timestamp()),
    one_of("actor_type", ("agent", "human", "system")),
    Index("campaign_audit_log_campaign_id_created_at_idx", "campaign_id", "created_at"),
)

suppression_list = Table(
    "suppression_list",
    metadata,
    identity(),
    Column("email", Text),
    Column("domain", Text),
    Column("reason", Text),
    Column("source", Text),
    moment("created_at"),
    Column("forgotten", Text),  # keyed hash of what a forgotten person is known by, or the id of a lead
    CheckConstraint("email IS NOT NULL OR domain IS NOT NULL OR forgotten IS NOT NULL", name="names_someone"),
    Index("suppression_list_email_idx", text("lower(email)")),
    Index("suppression_list_domain_idx", text("lower(domain)")),
)
Index("suppression_list_mailbox_idx", Mailbox(suppression_list.c.email))
Index("suppression_list_bare_domain_idx", ListedDomain(suppression_list.c.domain))
Index("suppression_list_forgotten_idx", Mailbox(suppression_list.c.forgotten))
