"""`phase3 import`: a CSV file becomes a campaign, all good rows or none."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from uuid import UUID

from phase3_core.errors import BadInput
from resources.lead_csv.leads import Problem, read_leads
from resources.postgres.campaign_import import CampaignImport
from resources.postgres.database import PostgresDatabase

MOST_PROBLEMS_TOLD = 50


def import_file(url: str, file: Path, name: str, tell: Callable[[str], None]) -> UUID:
    """Raises BadInput for a file of which nothing can be used; `tell` gets a line for each bad row."""
    if not name.strip():
        raise BadInput("A campaign needs a name: --name 'Spring list'")
    leads = read_leads(file)

    async def importing() -> UUID:
        async with PostgresDatabase(url, longest_outage_s=0).reading() as books:
            return await CampaignImport(books.engine).create(name.strip(), leads.rows)

    try:
        return asyncio.run(importing())
    finally:
        for line in _told(file, leads.problems):
            tell(line)


def _told(file: Path, problems: Sequence[Problem]) -> Iterator[str]:
    for problem in problems[:MOST_PROBLEMS_TOLD]:
        column = f"{problem.column}: " if problem.column else ""
        yield f"{file}:{problem.line}: {column}{problem.message}"
    if len(problems) > MOST_PROBLEMS_TOLD:
        yield f"and {len(problems) - MOST_PROBLEMS_TOLD:,} more bad rows"
