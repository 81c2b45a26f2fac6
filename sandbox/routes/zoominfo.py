"""ZoomInfo: the GTM API behind OAuth, the legacy API behind its JWT. A record under contract is free."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from time import time
from typing import Any, ClassVar

from sandbox.billing import made_up_key
from sandbox.companies import NEWS, Company
from sandbox.limits import Pressure, Quota
from sandbox.people import Person
from sandbox.routes.zoominfo_questions import (
    COMPANY_KEYS,
    attributes_of,
    companies_asked,
    fields_of,
    inputs_of,
    output_fields,
    people_asked,
    texts,
    topics_asked,
)
from sandbox.routes.zoominfo_records import (
    BASE_ID,
    brief,
    company_id,
    company_record,
    contact_record,
    intent_signal,
    technologies,
)
from sandbox.vendor import Operation, Setting, Vendor, pick
from sandbox.wire import NOTHING, Ask, Reply, answer

CONTRACT_DAYS = 365
BATCH_LIMIT = 25
TOKEN_LIFE_S, JWT_LIFE_S, SHORT_LIFE_S = 86_400, 3_600, 1
JSON_API = "application/vnd.api+json"
SCOPE = "api:data:company api:data:contact api:data:intent"
Fields = Mapping[str, str]


class ZoomInfo(Vendor):
    """Two token routes, two families of routes; tokens of one are not accepted by the other."""

    name = "zoominfo"
    quotas: ClassVar[Mapping[str, Quota]] = {
        "default": Quota(per_second=25, per_hour=54_000, sliding=True),
        "authenticate": Quota(per_second=1),
        "legacy": Quota(per_second=25, per_minute=1_500),
    }
    variants = frozenset(
        ("short_expiry", "title_envelope", "no_scope", "not_in_contract", "gateway_504"),
    )

    def __init__(self, setting: Setting) -> None:
        """Four credentials, no token yet."""
        super().__init__(setting)
        self.tokens: dict[str, float] = {}
        self.jwts: dict[str, float] = {}

    def operations(self) -> Sequence[Operation]:
        """Token, enrichments, account; and the same in the old way."""
        data = "gtm/data/v1"
        return (
            Operation("token", "POST", "oauth2/default/v1/token", _grant, self.token, "none", public=True),
            Operation("companies", "POST", f"{data}/companies/enrich", companies_asked, self.companies),
            Operation(
                "technologies",
                "POST",
                f"{data}/companies/technologies/enrich",
                companies_asked,
                self.technologies,
            ),
            Operation("contacts", "POST", f"{data}/contacts/enrich", people_asked, self.contacts),
            Operation("intent", "POST", f"{data}/intent/enrich", topics_asked, self.intent),
            Operation("lookup", "GET", f"{data}/lookup/enrich", _nothing, self.lookup),
            Operation("usage", "GET", f"{data}/users/usage", _nothing, self.usage, "none"),
            Operation(
                "authenticate", "POST", "authenticate", _user, self.authenticate, "authenticate", public=True
            ),
            Operation(
                "companies", "POST", "enrich/company", companies_asked, self.legacy_companies, "legacy"
            ),
            Operation("contacts", "POST", "enrich/contact", people_asked, self.legacy_contacts, "legacy"),
            Operation("intent", "POST", "enrich/intent", topics_asked, self.legacy_intent, "legacy"),
            Operation("usage", "GET", "lookup/usage", _nothing, self.legacy_usage, "legacy"),
        )

    # -- tokens

    def token(self, ask: Ask, _question: str) -> Reply:
        """OAuth client credentials in HTTP Basic."""
        if ask.basic != (self.client_id, self.account.secret):
            words = "The client secret supplied for a confidential client is invalid."
            return answer({"error": "invalid_client", "error_description": words}, 401)
        if ask.form.get("grant_type") != "client_credentials":
            words = "The authorization grant type is not supported."
            return answer({"error": "unsupported_grant_type", "error_description": words}, 400)
        token, life_s = self.issued(self.tokens, TOKEN_LIFE_S)
        scope = ask.form.get("scope", SCOPE)
        return answer({"access_token": token, "token_type": "Bearer", "expires_in": life_s, "scope": scope})

    def authenticate(self, ask: Ask, _question: str) -> Reply:
        """The legacy JWT."""
        if (ask.word("username"), ask.word("password")) != (self.user, self.account.secret):
            return answer({"success": False, "error": "Invalid username or password"}, 401)
        return answer({"jwt": self.issued(self.jwts, JWT_LIFE_S)[0]})

    def issued(self, book: dict[str, float], usual_life_s: int) -> tuple[str, int]:
        """A new token and its life, which one variant makes very short."""
        life_s = SHORT_LIFE_S if "short_expiry" in self.on else usual_life_s
        token = made_up_key(self.account.key, "token", len(self.tokens), len(self.jwts))
        book[token] = time() + life_s
        return token, life_s

    @property
    def client_id(self) -> str:
        """The OAuth client."""
        return f"client-{self.account.key[:12]}"

    @property
    def user(self) -> str:
        """The legacy user."""
        return "ops@buyer.example"

    def authorised(self, ask: Ask) -> bool:
        """A token of the right kind that has not expired."""
        book = self.tokens if ask.path.startswith("gtm/") else self.jwts
        return book.get(ask.bearer, 0.0) > time()

    def env(self, base_url: str) -> dict[str, str]:
        """Both pairs of credentials."""
        return {
            "ZOOMINFO_CLIENT_ID": self.client_id,
            "ZOOMINFO_CLIENT_SECRET": self.account.secret,
            "ZOOMINFO_USERNAME": self.user,
            "ZOOMINFO_PASSWORD": self.account.secret,
            "ZOOMINFO_BASE_URL": base_url,
        }

    # -- the GTM API

    def companies(self, ask: Ask, _question: str) -> Reply:
        """Up to 25; misses are items too, free, and told apart by matchStatus."""
        attributes = attributes_of(ask)
        inputs, fields = inputs_of(attributes, "matchCompanyInput"), output_fields(attributes)
        if refusal := self.refused(inputs, fields):
            return refusal
        return _data([self.company_item(one, fields) for one in inputs])

    def company_item(self, given: Fields, fields: Sequence[str]) -> dict[str, Any]:
        """One input's answer."""
        company = self.company(given)
        if company is None:
            return _no_match(given)
        self.take("companies", company.domain)
        attributes = pick(company_record(company), fields)
        return _item("Company", company_id(company), attributes, given)

    def contacts(self, ask: Ask, _question: str) -> Reply:
        """Up to 25; fields that are required and missing make a miss."""
        attributes = attributes_of(ask)
        inputs, fields = inputs_of(attributes, "matchPersonInput"), output_fields(attributes)
        if refusal := self.refused(inputs, fields):
            return refusal
        required = texts(attributes.get("requiredFields"))
        return _data([self.contact_item(one, fields, required) for one in inputs])

    def contact_item(self, given: Fields, fields: Sequence[str], required: Sequence[str]) -> dict[str, Any]:
        """One input's answer."""
        person = self.person(given)
        contact = None if person is None else contact_record(person)
        if person is None or contact is None or any(contact.get(field) is None for field in required):
            return _no_match(given)
        self.take("contacts", f"person {person.number}")
        attributes = pick(contact, fields) | {"company": brief(person.company)}
        return _item("Contact", str(BASE_ID + person.number), attributes, given)

    def intent(self, ask: Ask, _question: str) -> Reply:
        """A signal for companies in the news; empty data for the others."""
        attributes = attributes_of(ask)
        topics = texts(attributes.get("topics"))
        if refusal := self.refused([fields_of(attributes, COMPANY_KEYS)], topics):
            return refusal
        company = self.company(fields_of(attributes, COMPANY_KEYS))
        signals = (
            [] if company is None or NEWS not in company.known_to else [intent_signal(company, topics[0])]
        )
        if company is not None and signals:
            self.take("intent", company.domain)
        page = {"page": {"number": 1, "total": 1}, "totalResults": len(signals)}
        items = [
            {"type": "Intent", "id": signal["company"]["id"], "attributes": signal} for signal in signals
        ]
        return _json_api({"data": items, "meta": page, "links": {}})

    def technologies(self, ask: Ask, _question: str) -> Reply:
        """The stack of one company, by its id."""
        given = fields_of(attributes_of(ask), COMPANY_KEYS)
        if refusal := self.refused([given], ["technologies"]):
            return refusal
        company = self.company(given)
        if company is None:
            return _data([])
        self.take("technologies", company.domain)
        return _data([{"type": "Technology", "attributes": one} for one in technologies(company)])

    def lookup(self, _ask: Ask, _question: str) -> Reply:
        """Output fields; free."""
        names = list(company_record(self.world.companies[0]))
        return _data(
            [{"type": "EnrichField", "id": name, "attributes": {"fieldName": name}} for name in names]
        )

    def usage(self, _ask: Ask, _question: str) -> Reply:
        """Credits of the contract; free."""
        used, left = int(self.account.used), int(self.account.left)
        limits = {
            "limitType": "bulkCredits",
            "totalLimit": used + left,
            "currentUsage": used,
            "usageRemaining": left,
        }
        return _json_api({"data": {"type": "Usage", "attributes": {"usage": [limits]}}})

    def refused(self, inputs: Sequence[Fields], needed: Sequence[str]) -> Reply | None:
        """Scope, contract, input, and credits for the whole batch."""
        if "no_scope" in self.on:
            return self.error(403, "ZI0002", "Insufficient scope.")
        if "not_in_contract" in self.on:
            return self.error(403, "ZI0003", "Not part of your contract.")
        if not 0 < len(inputs) <= BATCH_LIMIT or not needed:
            return self.error(400, "PFAPI0001", f"Send 1 to {BATCH_LIMIT} inputs and the fields wanted.")
        return None if self.account.covers(Decimal(len(inputs))) else self.out_of_credits()

    def take(self, operation: str, record: str) -> None:
        """One credit for a record that is not under contract yet."""
        self.sell(operation, record, hit=True, free_days=CONTRACT_DAYS)

    def company(self, given: Fields) -> Company | None:
        """By id, website or name."""
        number = given.get("companyId", "")
        if number:
            position = int(number) - BASE_ID - 1 if number.isdecimal() else -1
            known = self.world.companies[position] if 0 <= position < len(self.world.companies) else None
            return self.listed(known)
        return self.listed(self.world.company(given.get("companyWebsite") or given.get("companyName") or ""))

    def person(self, given: Fields) -> Person | None:
        """By address, profile, or name and company; of the companies that are listed."""
        name = given.get("fullName") or f"{given.get('firstName', '')} {given.get('lastName', '')}".strip()
        employer = self.company({key: given.get(key, "") for key in COMPANY_KEYS})
        person = (
            self.world.owner(given.get("emailAddress", ""))
            or self.world.person_at(given.get("externalURL", ""))
            or (None if employer is None else self.world.person(name, employer.domain))
        )
        return person if person is not None and self.listed(person.company) else None

    # -- the legacy API

    def legacy_companies(self, ask: Ask, _question: str) -> Reply:
        """Input keys come back in lower case; no match is an empty list."""
        return self.legacy_batch(ask, "matchCompanyInput", self.legacy_company)

    def legacy_contacts(self, ask: Ask, _question: str) -> Reply:
        """As for companies."""
        return self.legacy_batch(ask, "matchPersonInput", self.legacy_contact)

    def legacy_batch(self, ask: Ask, key: str, found: Callable[[Fields], dict[str, Any] | None]) -> Reply:
        """The envelope of both."""
        inputs, fields = inputs_of(ask.data, key), output_fields(ask.data)
        if not 0 < len(inputs) <= BATCH_LIMIT or not fields:
            return _legacy_error(400, "outputFields and 1 to 25 inputs are required")
        if not self.account.covers(Decimal(len(inputs))):
            return self.legacy_used_up()
        result = []
        for given in inputs:
            record = found(given)
            data = [] if record is None else [pick(record, ["id", *fields])]
            result.append({"input": {name.lower(): value for name, value in given.items()}, "data": data})
        return answer({"success": True, "data": {"outputFields": [fields], "result": result}})

    def legacy_company(self, given: Fields) -> dict[str, Any] | None:
        """One company with the fields only the old API has."""
        company = self.company(given)
        if company is None:
            return None
        self.take("companies", company.domain)
        stack = [
            pick(one, ("vendor", "product", "category", "categoryParent")) for one in technologies(company)
        ]
        extra = {"techAttributes": stack, "descriptionList": [{"description": company.description}]}
        return {"id": int(company_id(company)), **company_record(company), **extra}

    def legacy_contact(self, given: Fields) -> dict[str, Any] | None:
        """One person."""
        person = self.person(given)
        if person is None:
            return None
        self.take("contacts", f"person {person.number}")
        return {**contact_record(person), "id": BASE_ID + person.number}

    def legacy_intent(self, ask: Ask, _question: str) -> Reply:
        """One page of signals."""
        topics = texts(ask.data.get("topics"))
        if not topics:
            return _legacy_error(400, "topics is required")
        company = self.company(fields_of(ask.data, COMPANY_KEYS))
        signals = (
            [] if company is None or NEWS not in company.known_to else [intent_signal(company, topics[0])]
        )
        if company is not None and signals:
            self.take("intent", company.domain)
        return answer({"maxResults": 25, "totalResults": len(signals), "currentPage": 1, "data": signals})

    def legacy_usage(self, _ask: Ask, _question: str) -> Reply:
        """Credits."""
        used, left = int(self.account.used), int(self.account.left)
        usage = {
            "limitType": "uniqueIdLimit",
            "totalLimit": used + left,
            "currentUsage": used,
            "usageRemaining": left,
        }
        return answer({"usage": [usage]})

    def legacy_used_up(self) -> Reply:
        """403, told from a refusal by its words."""
        return _legacy_error(403, "You have used up your request limit")

    # -- refusals

    def unauthorised(self, ask: Ask) -> Reply:
        """ZI0001, or the legacy form."""
        if ask.path.startswith("gtm/"):
            return self.error(401, "ZI0001", "The access token is missing, invalid or expired.")
        return _legacy_error(401, "Invalid or expired JWT")

    def blocked(self, ask: Ask) -> Reply:
        """403."""
        if ask.path.startswith("gtm/"):
            return self.error(403, "ZI0003", "Not part of your contract.")
        return _legacy_error(403, "Access denied")

    def out_of_credits(self) -> Reply:
        """A 400, not a 402."""
        return self.error(400, "PFAPI0011", "Your credits are used up.")

    def rate_limited(self, pressure: Pressure) -> Reply:
        """429 with everything one could wish for."""
        extra = {
            "Retry-After": str(pressure.wait_s),
            "X-RateLimit-Reset": str(pressure.reset_at),
            "X-RateLimit-Rejected-Bucket": pressure.bucket,
        }
        reply = self.error(429, "ZI0004", "Rate limit exceeded.")
        reply.headers = {**self.headers(pressure), **extra}
        return reply

    def failed(self) -> Reply:
        """500, or 504 when it took too long."""
        if "gateway_504" in self.on:
            return self.error(504, "PFAPI0010", "The request timed out.")
        return self.error(500, "PFAPI0007", "Internal server error.")

    def no_route(self, *, path_known: bool) -> Reply:
        """404 or 405."""
        return self.error(405 if path_known else 404, "PFAPI0001", "No such resource.")

    def headers(self, pressure: Pressure | None) -> Mapping[str, str]:
        """Per window; -1 is unknown."""
        if pressure is None:
            return NOTHING
        return {
            "X-RateLimit-Limit-Second": str(pressure.limit),
            "X-RateLimit-Remaining-Second": str(pressure.remaining),
            "X-RateLimit-Limit-Day": "-1",
            "X-RateLimit-Remaining-Day": "-1",
        }

    def error(self, status: int, code: str, words: str) -> Reply:
        """Either of the two published envelopes."""
        number = made_up_key(code)[:8]
        if "title_envelope" in self.on:
            one = {"id": number, "code": code, "detail": words, "status": str(status), "source": {}}
            return _json_api({"title": words, "detail": words, "errors": [one]}, status)
        retryable = status in {429, 500, 504}
        error = {
            "code": code,
            "message": words,
            "status": status,
            "requestId": number,
            "retryable": retryable,
        }
        return _json_api({"error": error}, status)


def _json_api(payload: Any, status: int = 200) -> Reply:
    reply = answer(payload, status)
    reply.content_type = JSON_API
    return reply


def _data(items: list[dict[str, Any]]) -> Reply:
    return _json_api({"data": items})


def _item(kind: str, number: str, attributes: Mapping[str, Any], given: Fields) -> dict[str, Any]:
    meta = {"input": given, "matchStatus": "FULL_MATCH"}
    return {"type": kind, "id": number, "attributes": attributes, "meta": meta}


def _no_match(given: Fields) -> dict[str, Any]:
    return {"type": "NoMatch", "id": "0", "meta": {"input": given, "matchStatus": "NO_MATCH"}}


def _legacy_error(status: int, words: str) -> Reply:
    return answer({"success": False, "error": words, "statusCode": status}, status)


def _grant(ask: Ask) -> str:
    return ask.form.get("grant_type", "")


def _user(ask: Ask) -> str:
    return ask.word("username")


def _nothing(_ask: Ask) -> str:
    return ""
