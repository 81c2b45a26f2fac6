-- Three roles for the database: give each to the users of your programs (`GRANT phase3_runner TO …`).
--   phase3_migrator  owns the tables: `phase3 db upgrade`, `phase3 forget`
--   phase3_runner    everything else: runs, the command line, the Dagster UI and daemon
--   phase3_reader    amounts and states for dashboards, approved leads for phase 4
-- Run it as a superuser in phase 3's database, before the first `phase3 db upgrade` and after each: it may be
-- repeated, and grants what is there. Tables that another owner made stay his: make them over to phase3_migrator
-- (`ALTER TABLE leads OWNER TO phase3_migrator`) or let him grant the same.

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['phase3_migrator', 'phase3_runner', 'phase3_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
    END LOOP;
    -- `phase3 db upgrade` makes the schema of Dagster's tables, unless they are elsewhere
    EXECUTE format('GRANT CONNECT, CREATE ON DATABASE %I TO phase3_migrator', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO phase3_runner, phase3_reader', current_database());
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO phase3_migrator;
GRANT USAGE ON SCHEMA public TO phase3_runner, phase3_reader;

DO $$
DECLARE
    -- what a run writes; rows are deleted only where they are no record of anything
    written text[] := ARRAY['campaigns', 'leads', 'provider_calls', 'budgets', 'provider_spend', 'breakers',
        'balance_readings', 'workflow_checkpoints', 'rate_limits', 'rate_limit_places', 'campaign_leases', 'saga_steps',
        'approval_requests', 'outbox', 'suppression_list'];
    passing text[] := ARRAY['budgets', 'rate_limit_places', 'outbox', 'suppression_list'];
    read_only text[] := ARRAY['approved_leads', 'suppressed_subjects', 'phase3_alembic_version'];
    shown text[] := ARRAY['approved_leads', 'budgets', 'provider_spend', 'breakers', 'balance_readings',
        'rate_limits'];
    name text;
BEGIN
    IF to_regclass('public.provider_calls') IS NULL THEN
        RETURN;
    END IF;
    FOREACH name IN ARRAY written LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON public.%I TO phase3_runner', name);
    END LOOP;
    FOREACH name IN ARRAY passing LOOP
        EXECUTE format('GRANT DELETE ON public.%I TO phase3_runner', name);
    END LOOP;
    FOREACH name IN ARRAY read_only LOOP
        EXECUTE format('GRANT SELECT ON public.%I TO phase3_runner', name);
    END LOOP;
    -- nobody who runs campaigns changes what was written down of it
    GRANT SELECT, INSERT ON public.campaign_audit_log TO phase3_runner;

    FOREACH name IN ARRAY shown LOOP
        EXECUTE format('GRANT SELECT ON public.%I TO phase3_reader', name);
    END LOOP;
    -- neither questions nor answers, nor words in which somebody may be named
    GRANT SELECT (id, name, status, total_leads_scraped, total_leads_valid, leads_tier_a, leads_tier_b,
        leads_tier_c, import_completed_at, emails_found, emails_verified, email_verification_cost,
        email_verification_completed_at, leads_enriched, enrichment_cost, enrichment_completed_at,
        total_leads_ready, verification_completed_at, personalization_scope, approved_at, created_at, updated_at)
        ON public.campaigns TO phase3_reader;
    GRANT SELECT (provider, operation, state, outcome, cost_usd, reserved_usd, unknown_usd, attempt, losses,
        http_status, response_time_ms, campaign_id, lead_id, agent, run_id, created_at, asked_at, settled_at,
        expires_at, tier, day) ON public.provider_calls TO phase3_reader;
    GRANT SELECT (id, campaign_id, lead_score, lead_tier, email_status, email_provider, email_verifier,
        email_verified_at, email_cost, enrichment_status, enrichment_cost, enrichment_completed_at, enriched_as,
        suppressed_at, erased_at) ON public.leads TO phase3_reader;
    GRANT SELECT (workflow_id, agent_id, step_id, status, campaign_id, items_processed, items_total, started_at,
        completed_at, updated_at) ON public.workflow_checkpoints TO phase3_reader;
END
$$;

-- Dagster's own tables, where they are in this database
DO $$
BEGIN
    IF to_regnamespace('dagster') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA dagster TO phase3_runner;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA dagster TO phase3_runner;
        GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA dagster TO phase3_runner;
    END IF;
END
$$;
