"""What can be known of a campaign from outside: the vendors' own bill, and the tables as SQL tells them."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.billing import Charge
from sandbox.world import World
from tests.stage.stage import Stage

Rows = Sequence[Mapping[str, Any]]

_CALLS = """
SELECT key, provider, operation, request, state, cost_usd, reserved_usd, unknown_usd, attempt, losses, job_id,
       campaign_id, agent, tier, day, asked_at, settled_at, lead_id,
       CASE WHEN provider IN ('reoon', 'mailverify')
            THEN coalesce(response ->> 'status', response #>> '{data,status}') END AS verdict
FROM provider_calls
"""
_LISTED = """
SELECT lower(coalesce(email, domain)) AS name, created_at FROM suppression_list WHERE forgotten IS NULL
"""
TABLES = (
    _CALLS,
    "SELECT * FROM budgets",
    "SELECT * FROM leads",
    _LISTED,
    "SELECT provider, cost_usd, unknown_usd FROM provider_spend",
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The bill, then the database (`TABLES`) at one moment after it."""

    world: World
    charges: Sequence[Charge]
    asked: Mapping[tuple[str, str, str], int]
    calls: Rows
    budgets: Rows
    leads: Rows
    listed: Rows
    spend: Rows

    def of(self, provider: str) -> Rows:
        return [call for call in self.calls if call["provider"] == provider]

    def about(self, provider: str, question: str) -> Rows:
        """Its calls with every word that stands on the bill."""
        words = question.replace("|", " ").split()
        return [call for call in self.of(provider) if all(word in words_of(call) for word in words)]

    def billed(self) -> Mapping[str, Decimal]:
        """USD by vendor."""
        billed: defaultdict[str, Decimal] = defaultdict(Decimal)
        for charge in self.charges:
            billed[charge.vendor] += charge.amount_usd
        return billed


def evidence(stage: Stage) -> Evidence:
    bill = stage.sandbox.parts.bill
    charges, asked = list(bill.charges), dict(bill.asked)
    return Evidence(stage.sandbox.parts.world, charges, asked, *stage.query_all(*TABLES))


def words_of(call: Mapping[str, Any]) -> str:
    """All that was asked, as one text in small letters."""
    return json.dumps(call["request"], ensure_ascii=False).lower()
