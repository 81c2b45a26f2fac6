"""A seeded world: companies with their mail, people in them, and vendors that know some of it.

No address belongs to two people: whose call a shared question is depends on who asks first.
"""

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from random import Random

from phase3_core.calls import FinderReply, Gap, Hit, Judgement, Miss, NoAnswer, VerifierReply
from phase3_core.leads import Lead, MailboxName
from phase3_core.patterns import Pattern, local_part
from phase3_core.statuses import Reason, Verdict
from phase3_core.tiers import Tier
from tests.core.office import Office, Pause, an_office
from tests.fakes.people import a_lead
from tests.fakes.providers import finder, verifier

FINDERS = ("tomba", "muraena", "icypeas")


@dataclass(frozen=True)
class World:
    """The same seed is the same world. `companies` is how many share the leads."""

    seed: int
    size: int = 24
    companies: int = 4

    def _dice(self, *about: object) -> Random:
        return Random(repr((self.seed, *about)))

    def leads(self) -> list[Lead]:
        return [self._lead(number) for number in range(1, self.size + 1)]

    @lru_cache(maxsize=2000)  # noqa: B019 - worlds are values, and few are made
    def _lead(self, number: int) -> Lead:
        dice = self._dice("lead", number)
        domain = "" if dice.random() < 0.05 else f"company{dice.randrange(self.companies)}.com"
        lead = a_lead(
            number,
            f"First{number} Last{number}",
            company_domain=domain,
            tier=dice.choice([*Tier]),
            score=dice.randrange(100),
        )
        lead = replace(lead, mailbox_names=(MailboxName(f"first{number}", f"last{number}"),))
        brought = dice.random() < 0.2 and domain
        return replace(lead, email=self.address(lead) if brought else "")

    def address(self, lead: Lead) -> str:
        """By the company's own pattern; some people's is an exception."""
        dice = self._dice("mail", lead.company_domain)
        own = self._dice("exception", lead.full_name)
        pattern = (own if own.random() < 0.3 else dice).choice([*Pattern])
        return f"{local_part(pattern, lead.mailbox_names[0])}@{lead.company_domain or 'gmail.com'}"

    def found(self, provider: str, name: str) -> FinderReply:
        dice = self._dice(provider, name)
        lead = self._lead(int(name.rpartition("Last")[2]))
        draw = dice.random()
        if draw < 0.4:
            return Hit(self.address(lead), dice.randrange(100))
        if draw < 0.6:
            mailbox = dice.choice(["info", "sales", "x"])
            return Hit(f"{mailbox}{lead.id.int}@{lead.company_domain}")
        return NoAnswer(Gap.LOST) if draw < 0.65 else Miss()

    def judged(self, provider: str, email: str) -> VerifierReply:
        dice, draw = self._dice("company", email.partition("@")[2]), self._dice(provider, email).random()
        if draw < 0.05:
            return NoAnswer(Gap.LOST)
        if self._dice("mail servers", email.partition("@")[2]).random() < 0.1 and provider == "reoon":
            return Judgement(Verdict.INVALID, Reason.NO_MAIL_SERVERS)
        if dice.random() < 0.2 and provider == "reoon":
            return Judgement(Verdict.CATCH_ALL)
        if email.startswith(("info", "sales")):
            return Judgement(Verdict.VALID, Reason.ROLE_ACCOUNT)
        words = [Verdict.VALID, Verdict.RISKY, Verdict.INVALID, Verdict.INVALID, Verdict.UNKNOWN]
        return Judgement(words[int(draw * len(words))], score=int(draw * 100))

    def office(self, pause: Pause | None = None) -> Office:
        """A fresh campaign in this world."""
        office = an_office(self.leads())
        office.source.finders = [finder(name, partial(self.found, name)) for name in FINDERS]
        office.source.verifiers = [
            verifier(name, partial(self.judged, name)) for name in ("reoon", "mailverify")
        ]
        office.source.pause = pause or office.source.pause
        return office
