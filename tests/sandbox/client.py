"""A plain client of the sandbox: it knows each vendor's wire from the outside, and nothing of the project."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from sandbox.app import Sandbox
from sandbox.billing import Account
from sandbox.companies import Company
from sandbox.people import Person
from sandbox.world import World


@dataclass(frozen=True)
class Question:
    """One request to a vendor, without its key."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    document: Any = None
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session
        self.zoominfo_token = ""

    @property
    def world(self) -> World:
        return self.sandbox.parts.world

    def account(self, vendor: str) -> Account:
        return self.sandbox.parts.vendors[vendor].account

    async def ask(self, vendor: str, question: Question, *, signed: bool = True) -> Answer:
        signature = await self.signature(vendor) if signed else {}
        params = {**question.params, **signature.get("params", {})}
        headers = {**question.headers, **signature.get("headers", {})}
        document = question.document
        if isinstance(document, dict):
            document = {**document, **signature.get("document", {})}
        return await self.send(
            question.method,
            f"/{vendor}/{question.path}",
            params=params,
            headers=headers,
            json=document,
            data=question.form,
        )

    async def signature(self, vendor: str) -> dict[str, Any]:
        if vendor != "zoominfo":
            return SIGNATURES[vendor](self.account(vendor))
        if not self.zoominfo_token:
            self.zoominfo_token = (await self.token()).json["access_token"]
        return {"headers": {"Authorization": f"Bearer {self.zoominfo_token}"}}

    async def token(self, secret: str = "") -> Answer:
        env = await self.control("GET", "env")
        return await self.send(
            "POST",
            "/zoominfo/oauth2/default/v1/token",
            data={"grant_type": "client_credentials", "scope": "api:data:company"},
            headers={
                "Authorization": aiohttp.encode_basic_auth(
                    env["ZOOMINFO_CLIENT_ID"], secret or env["ZOOMINFO_CLIENT_SECRET"]
                )
            },
        )

    async def send(self, method: str, path: str, **extra: Any) -> Answer:
        url = self.sandbox.url + path
        async with self.session.request(method, url, allow_redirects=False, **extra) as response:
            return Answer(response.status, response.headers, await response.read())

    async def control(self, method: str, path: str, document: Any = None) -> Any:
        answer = await self.send(method, f"/_sandbox/{path}", json=document)
        assert answer.status == 200, answer.body
        return answer.json

    async def break_something(self, vendor: str, kind: str, **wish: Any) -> None:
        await self.control("POST", "faults", {"vendor": vendor, "kind": kind, **wish})

    async def switch(self, vendor: str, name: str) -> None:
        await self.control("POST", "variants", {"vendor": vendor, "name": name, "on": True})

    async def set_balance(self, vendor: str, balance: int | None) -> None:
        await self.control("POST", f"accounts/{vendor}", {"balance": balance})

    def billed(self, vendor: str) -> list[tuple[str, str]]:
        """Operation and question of each charge."""
        charges = self.sandbox.parts.bill.charges
        return [(one.operation, one.question) for one in charges if one.vendor == vendor]


def _document_key(account: Account) -> dict[str, Any]:
    return {"params": {"key": account.key}, "document": {"key": account.key}}


def _header(name: str, shape: str = "{}") -> Callable[[Account], dict[str, Any]]:
    return lambda account: {"headers": {name: shape.format(account.key)}}


def _basic(*, as_password: bool) -> Callable[[Account], dict[str, Any]]:
    def signature(account: Account) -> dict[str, Any]:
        user, password = ("any", account.key) if as_password else (account.key, "")
        return {"headers": {"Authorization": aiohttp.encode_basic_auth(user, password)}}

    return signature


SIGNATURES: dict[str, Callable[[Account], dict[str, Any]]] = {
    "tomba": lambda account: {"headers": {"X-Tomba-Key": account.key, "X-Tomba-Secret": account.secret}},
    "findymail": _header("Authorization", "Bearer {}"),
    "reoon": _document_key,
    "mailverify": _header("x-auth-mailverify"),
    "apollo": _header("x-api-key"),
    "builtwith": _header("Authorization", "API {}"),
    "muraena": _header("Authorization", "Token {}"),
    "voila_norbert": _basic(as_password=True),
    "nimbler": _header("Authorization", "Bearer {}"),
    "icypeas": _header("Authorization"),
    "anymailfinder": _header("Authorization"),
    "clearbit": _basic(as_password=False),
    "people_data_labs": _header("X-Api-Key"),
    "brave": _header("X-Subscription-Token"),
    "serper": _header("X-API-KEY"),
    "tavily": _header("Authorization", "Bearer {}"),
    "claude": _header("x-api-key"),
}

FIND: dict[str, Callable[[Person], Question]] = {
    "tomba": lambda person: Question(
        "GET",
        "v1/email-finder",
        {"full_name": person.name, "domain": person.company.domain},
    ),
    "findymail": lambda person: Question(
        "POST",
        "api/search/name",
        document={"name": person.name, "domain": person.company.domain},
        headers={"Accept": "application/json"},
    ),
    "muraena": lambda person: Question(
        "POST",
        "api/client_api/search/",
        document={
            "filters": {
                "first_name": person.first,
                "last_name": person.last,
                "domain": person.company.domain,
            },
            "reveal": True,
        },
    ),
    "voila_norbert": lambda person: Question(
        "POST",
        "2018-01-08/search/name",
        form={"name": person.name, "domain": person.company.domain},
    ),
    "nimbler": lambda person: Question(
        "POST",
        "api/v1/append/contact",
        document={
            "firstName": person.first,
            "lastName": person.last or person.first,
            "company": person.company.name,
        },
    ),
    "icypeas": lambda person: Question(
        "POST",
        "api/email-search",
        document={
            "firstname": person.first,
            "lastname": person.last,
            "domainOrCompany": person.company.domain,
        },
    ),
    "anymailfinder": lambda person: Question(
        "POST",
        "v5.1/find-email/person",
        document={"full_name": person.name, "domain": person.company.domain},
    ),
}

VERIFY: dict[str, Callable[[str], Question]] = {
    "reoon": lambda email: Question("GET", "api/v1/verify", {"email": email, "mode": "power"}),
    "mailverify": lambda email: Question("POST", "api/v1/verify/single", document={"email": email}),
}

ENRICH: dict[str, Callable[[Company], Question]] = {
    "apollo": lambda company: Question("GET", "api/v1/organizations/enrich", {"domain": company.domain}),
    "builtwith": lambda company: Question("GET", "v23/api.json", {"LOOKUP": company.domain}),
    "clearbit": lambda company: Question("GET", "v2/companies/find", {"domain": company.domain}),
    "people_data_labs": lambda company: Question("GET", "v5/company/enrich", {"website": company.domain}),
    "zoominfo": lambda company: zoominfo_companies([company.domain]),
}

SEARCH: dict[str, Callable[[str], Question]] = {
    "brave": lambda query: Question("GET", "res/v1/news/search", {"q": query}),
    "serper": lambda query: Question("POST", "news", document={"q": query}),
    "tavily": lambda query: Question("POST", "search", document={"query": query, "topic": "news"}),
    "claude": lambda query: Question(
        "POST",
        "v1/messages",
        document={
            "model": "any",
            "max_tokens": 1024,
            "messages": [{"role": "user", "content": query}],
            "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 1}],
        },
        headers={"anthropic-version": "2023-06-01"},
    ),
}


def zoominfo_companies(
    domains: list[str], fields: tuple[str, ...] = ("id", "name", "employeeCount")
) -> Question:
    inputs = [{"companyWebsite": f"www.{domain}"} for domain in domains]
    attributes = {"matchCompanyInput": inputs, "outputFields": list(fields)}
    document = {"data": {"type": "CompanyEnrich", "attributes": attributes}}
    return Question("POST", "gtm/data/v1/companies/enrich", document=document)


def paid_question(vendor: str, world: World) -> Question:
    """A question that this vendor answers and bills."""
    if vendor in FIND:
        return FIND[vendor](next(known_to(vendor, world)))
    if vendor in VERIFY:
        return VERIFY[vendor](world.people[0].email or "nobody@nowhere.example")
    if vendor in SEARCH:
        return SEARCH[vendor](f'"{world.companies[0].name}" funding')
    return ENRICH[vendor](next(listed_by(vendor, world)))


def known_to(vendor: str, world: World) -> Iterator[Person]:
    return (person for person in world.people if vendor in person.finders)


def not_known_to(vendor: str, world: World) -> Iterator[Person]:
    return (person for person in world.people if vendor not in person.finders)


def listed_by(vendor: str, world: World) -> Iterator[Company]:
    return (company for company in world.companies if vendor in company.known_to)


def not_listed_by(vendor: str, world: World) -> Iterator[Company]:
    return (company for company in world.companies if vendor not in company.known_to)
