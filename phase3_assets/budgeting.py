"""`phase3 budget`: what a campaign may cost, and what of that is spent."""

import os
from collections.abc import Mapping
from typing import Any

from phase3_assets.amounts import amount_given
from phase3_assets.looking import look
from phase3_core.money import Money
from resources.postgres.database import PostgresBooks
from resources.postgres.planned_budgets import PlannedBudgets
from resources.providers.line_up import daily_caps
from resources.settings import read_settings, settings_path

LIKE_THE_SETTINGS = "none"


def budget_rows(url: str, name: str, wishes: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """One object per cap that a run of the campaign holds to or would, those of providers today behind.

    `wishes` are USD, by the names that `phase3 budget` has for options. A run that is on takes them over,
    and goes on under whatever else it began with; without any nothing is written.
    Raises BadInput, UnknownCampaign.
    """
    changes = {option: _cap(option, wish) for option, wish in wishes.items() if wish is not None}
    settings = read_settings(settings_path())
    daily = daily_caps(settings, os.environ)

    async def set_and_show(books: PostgresBooks) -> list[dict[str, Any]]:
        campaign_id = await books.campaigns.campaign_named(name)
        if changes:
            await books.budgets.set_own(campaign_id, changes)
            told = {option: str(cap) if cap is not None else None for option, cap in changes.items()}
            await books.campaigns.audit(campaign_id, "budgets_set", told)
        caps = settings.caps(await books.budgets.own(campaign_id), daily)
        if changes:
            await books.budgets.adopt(campaign_id, caps, changes)
        holding = PlannedBudgets(books.engine, caps, books.outage)
        return [budget.as_json() for budget in await holding.of(campaign_id)]

    return look(url, set_and_show)


def _cap(option: str, wish: str) -> Money | None:
    if wish.strip().lower() == LIKE_THE_SETTINGS:
        return None
    return amount_given(option.replace("_", "-"), wish, LIKE_THE_SETTINGS)
