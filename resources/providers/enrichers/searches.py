"""The three questions that are put to a web search about a company."""

from dataclasses import dataclass

from phase3_core.leads import Lead
from phase3_core.tiers import Topic


@dataclass(frozen=True, slots=True)
class Search:
    """One question: what to look for and how far back (`month`, `year`, ever), in news or on all pages."""

    topic: Topic
    words: str
    since: str
    news: bool

    def about(self, lead: Lead) -> str:
        return self.words.format(name=called(lead), domain=lead.company_domain)


def called(lead: Lead) -> str:
    """The company's name fit for a quoted phrase; its domain where it has none."""
    return " ".join(lead.company_name.replace('"', " ").split())[:80].strip() or lead.company_domain


NEWS = Search(Topic.NEWS, '"{name}" {domain}', "month", news=True)
FUNDING = Search(Topic.FUNDING, '"{name}" (raises OR funding OR "Series")', "year", news=True)
HIRING = Search(Topic.HIRING, '"{name}" hiring', "", news=False)
SEARCHES = (NEWS, FUNDING, HIRING)
