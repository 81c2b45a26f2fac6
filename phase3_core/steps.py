"""The waterfall's steps, taken: whoever is named is asked, and what is learned is added to what is known."""

from phase3_core.leads import Lead
from phase3_core.ports.providers import Finder, Providers
from phase3_core.progress import (
    Progress,
    after_find,
    after_guess,
    after_recall,
    after_second_opinion,
    after_verify,
)
from phase3_core.waterfall import Act, Find, Guess, Recall, SecondOpinion, Verify


class Steps:
    """By these providers. A plan has second opinions only where there is a second verifier."""

    def __init__(self, providers: Providers) -> None:
        self._finders: dict[str, Finder] = {finder.name: finder for finder in providers.finders}
        self._verifiers = providers.verifiers

    async def take(self, lead: Lead, progress: Progress, act: Act) -> Progress:
        match act:
            case Recall():
                return after_recall(progress)
            case Guess(email):
                return after_guess(progress, email)
            case Find(provider):
                return after_find(progress, provider, await self._finders[provider].find(lead))
            case Verify(email):
                verifier = self._verifiers[0]
                return after_verify(progress, verifier.name, await verifier.verify(lead, email))
            case SecondOpinion(email):
                second = self._verifiers[1]
                return after_second_opinion(progress, second.name, await second.verify(lead, email))
