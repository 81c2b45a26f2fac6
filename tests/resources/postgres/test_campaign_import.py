from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from sqlalchemy import event

from phase3_core.errors import BadInput
from phase3_core.tiers import Tier
from resources.postgres.campaign_import import CampaignImport
from resources.postgres.database import PostgresBooks

Query = Callable[..., list[dict[str, Any]]]


def rows(count: int) -> Iterator[Mapping[str, Any]]:
    for n in range(count):
        yield {
            "first_name": f"First{n}",
            "last_name": "Last",
            "full_name": f"First{n} Last",
            "email": "",
            "title": "",
            "company_name": "Acme",
            "company_domain": f"acme{n % 500}.com",
            "linkedin_url": "",
            "lead_score": n % 101 if n % 10 else None,
            "lead_tier": "ABC"[n % 3],
            "extra": {"city": "Oslo", "Shoe size": "44"},
        }


async def test_five_thousand_leads_come_in_at_once(books: PostgresBooks, query: Query) -> None:
    statements: list[str] = []
    event.listen(books.engine.sync_engine, "before_cursor_execute", lambda *at: statements.append(at[2]))
    campaign_id = await CampaignImport(books.engine).create("Winter", rows(5_000))
    assert len(statements) < 20, "whole batches per statement"
    [campaign] = query("SELECT * FROM campaigns")
    assert (campaign["id"], campaign["name"], campaign["status"]) == (
        campaign_id,
        "Winter",
        "import_complete",
    )
    assert campaign["import_completed_at"] is not None
    assert [campaign[f"leads_tier_{tier}"] for tier in "abc"] == [1667, 1667, 1666]
    assert (campaign["total_leads_available"], campaign["leads_scored"]) == (5_000, 4_500)
    [first] = await books.leads.get_campaign_leads(campaign_id, limit=1)
    assert (first.tier, first.score, first.email) == (Tier.A, 100, "")
    [row] = query("SELECT * FROM leads WHERE id = :id", id=first.id)
    assert (row["city"], row["email"], row["title"]) == ("Oslo", None, None)
    assert row["enrichment_data"] == {"imported": {"Shoe size": "44"}}
    assert query("SELECT reltuples FROM pg_class WHERE relname = 'leads'") == [{"reltuples": 5_000}]


@pytest.mark.parametrize("bad", [{"lead_score": "high"}, {"first_name": "nul\x00"}, {"lead_score": 2**40}])
async def test_a_lead_that_does_not_fit_leaves_nothing_behind(
    books: PostgresBooks, query: Query, bad: dict[str, Any]
) -> None:
    def spoiled() -> Iterator[Mapping[str, Any]]:
        yield from rows(200)
        yield bad

    with pytest.raises(BadInput, match="Nothing was imported"):
        await CampaignImport(books.engine).create("Winter", spoiled())
    assert query("SELECT 1 FROM campaigns") == query("SELECT 1 FROM leads") == []


async def test_a_file_that_breaks_off_leaves_nothing_behind(books: PostgresBooks, query: Query) -> None:
    def broken() -> Iterator[Mapping[str, Any]]:
        yield from rows(200)
        raise BadInput("line 202 cannot be read")

    with pytest.raises(BadInput, match="line 202"):
        await CampaignImport(books.engine).create("Winter", broken())
    assert query("SELECT 1 FROM campaigns") == query("SELECT 1 FROM leads") == []


async def test_a_campaign_without_leads_is_not_imported(books: PostgresBooks, query: Query) -> None:
    with pytest.raises(BadInput, match="no leads"):
        await CampaignImport(books.engine).create("Winter", [])
    assert query("SELECT 1 FROM campaigns") == []
