"""Web search: three questions about a company, put to the source that `WEB_SEARCH_PROVIDER` names."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from phase3_core.calls import Facts, Miss, Role
from resources.providers.answers import Answer, Pending, Problem
from resources.providers.enrichers.articles import Article, usable
from resources.providers.enrichers.searches import SEARCHES, Search
from resources.providers.request import Question, Request
from resources.providers.response import Response
from resources.providers.signing import Secrets, Signature
from resources.providers.spec import Choice, Operation, Poll, ProviderSpec

KEY = "WEB_SEARCH_API_KEY"
Found = Iterable[Article] | Problem | Pending


@dataclass(frozen=True, slots=True)
class SearchSource:
    """What differs between the sources. `resume` asks on where an answer was only a pause."""

    name: str
    base_url: str
    ask: Callable[[Search, Question], Request]
    found: Callable[[Response], Found]
    sign: Callable[[Secrets], Signature]
    problem: Callable[[Response], Problem | None]
    credits: Callable[[Response], Decimal | None] | None = None
    resume: Callable[[str], Request] | None = None
    timeout_s: float = 30.0
    options: Mapping[str, str] = field(default_factory=dict)

    def spec(self, search: Search) -> ProviderSpec:
        return ProviderSpec(
            name=self.name,
            role=Role.ENRICHER,
            base_url=self.base_url,
            operations=(self._operation(search),),
            secrets=(KEY,),
            sign=self.sign,
            problem=self.problem,
            topics=frozenset({search.topic}),
            per_company=True,
            question=search.topic.value,
            env_prefix="WEB_SEARCH",
            options=self.options,
            choice=Choice("WEB_SEARCH_PROVIDER", self.name),
        )

    def specs(self) -> tuple[ProviderSpec, ...]:
        return tuple(self.spec(search) for search in SEARCHES)

    def _operation(self, search: Search) -> Operation:
        def ask(question: Question) -> Request | None:
            return self.ask(search, question) if question.lead.company_domain else None

        def read(response: Response) -> Answer:
            return _answer(search, self.found(response))

        poll = Poll(self.resume, read, every_s=0.0, give_up_s=0.0, billed=True) if self.resume else None
        return Operation(search.topic.value, ask, read, self.timeout_s, poll, self.credits)


def _answer(search: Search, found: Found) -> Answer:
    """An empty list is an answer: nothing is known, which is not the same as not having asked."""
    if isinstance(found, Problem | Pending):
        return found
    articles = usable(found)
    return Facts({search.topic.value: articles}) if articles else Miss()
