"""What a campaign left behind, read as an outsider reads it: with SQL."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row

from resources.postgres.database import driver_url

DECIDED = """
SELECT id::text, company_domain, email, email_status, email_provider, email_verifier, enrichment_status,
       company_description, company_industry, company_employee_count, company_revenue_range,
       company_founded_year, company_tech_stack, company_keywords
FROM leads
"""
LOST = """
SELECT c.provider, c.state, c.losses, c.unknown_usd, l.company_domain
FROM provider_calls AS c JOIN leads AS l ON l.id = c.lead_id WHERE c.losses > 0
"""


@dataclass(frozen=True, slots=True)
class Books:
    """One database of the test server."""

    url: str
    name: str

    def query(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        address = driver_url(self.url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return list(cursor) if cursor.description else []

    def number(self, of: str, *values: Any) -> int:
        """How many rows, of what follows FROM."""
        (row,) = self.query(f"SELECT count(*) AS number FROM {of}", *values)
        return int(row["number"])

    def leads(self) -> dict[str, dict[str, Any]]:
        """Everything that phase 3 decided about each lead, by id."""
        return {row["id"]: row for row in self.query(DECIDED)}

    def lost(self) -> list[dict[str, Any]]:
        """Calls of which an answer never came."""
        return self.query(LOST)

    @property
    def settled(self) -> Decimal:
        return self._usd("cost_usd")

    @property
    def booked(self) -> Decimal:
        """USD settled, and USD at worst for bills that are not known."""
        return self._usd("cost_usd + unknown_usd")

    def _usd(self, amount: str) -> Decimal:
        (row,) = self.query(f"SELECT coalesce(sum({amount}), 0) AS usd FROM provider_calls")
        return Decimal(row["usd"])

    def runs(self) -> list[str]:
        """The states of Dagster's runs, oldest first."""
        return [row["status"] for row in self.query("SELECT status FROM dagster.runs ORDER BY id")]

    def campaign(self) -> dict[str, Any]:
        (row,) = self.query("SELECT status, status_reason FROM campaigns")
        return row
