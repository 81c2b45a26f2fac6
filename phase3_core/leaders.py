"""Who of a company's leads goes first, so that the others know its mail."""

from dataclasses import dataclass

from phase3_core.domains import MOST_LEADERS, Domain, learn
from phase3_core.flow import Lanes
from phase3_core.leads import Lead
from phase3_core.progress import Progress

NOTHING_KNOWN = Domain()


@dataclass(slots=True)
class _Shelf:
    """One domain, kept small: it stays for the whole run. `leaders`: who taught what is known of its mail."""

    leaders: int = 0
    domain: Domain = NOTHING_KNOWN

    @property
    def open(self) -> bool:
        return self.domain.known or self.leaders >= MOST_LEADERS


class Domains:
    """What each company's first leads showed about its mail; nobody leads where nobody `learns`.

    The leads that come first go one after another, until the mail is known. What they showed then stands,
    so that the order in which answers arrive never changes what a lead is asked: a resumed campaign ends in
    the same rows as an uninterrupted one.
    """

    def __init__(self, *, learns: bool = True) -> None:
        self._shelves: dict[str, _Shelf] = {}
        self._lanes = Lanes()
        self._learns = learns

    def __contains__(self, domain: str) -> bool:
        """Whether no finished lead need be repeated for it."""
        return not self._learns or domain in self._shelves

    async def enter(self, lead: Lead) -> tuple[Domain, bool]:
        """The company's mail as known, and whether this lead is a leader, which must `leave`."""
        if not (lead.company_domain and self._learns):
            return NOTHING_KNOWN, False
        shelf = self._shelves.setdefault(lead.company_domain, _Shelf())
        if shelf.open:
            return shelf.domain, False
        await self._lanes.enter(lead.company_domain)
        if shelf.open:
            self._lanes.leave(lead.company_domain)
            return shelf.domain, False
        return shelf.domain, True

    def leave(self, lead: Lead, progress: Progress) -> None:
        """A lead that waits, or is suppressed, leads nobody: no later run could learn the same of it."""
        shelf = self._shelves[lead.company_domain]
        if not progress.unfinished and not progress.suppressed:
            shelf.domain = learn(shelf.domain, lead, progress)
            shelf.leaders += 1
        self._lanes.leave(lead.company_domain)
