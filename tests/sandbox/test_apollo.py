import pytest

from sandbox.companies import NEWS
from tests.sandbox.client import ENRICH, Client, Question, listed_by, not_listed_by

MATCH = "api/v1/people/match"


async def test_a_listed_company_is_found_and_charged(client: Client) -> None:
    company = next(listed_by("apollo", client.world))
    answer = await client.ask("apollo", ENRICH["apollo"](company))
    organization = answer.json["organization"]
    assert organization["primary_domain"] == company.domain
    assert organization["estimated_num_employees"] == company.employees
    assert organization["founded_year"] == company.founded
    assert client.billed("apollo") == [("organization", company.domain)]
    assert answer.headers["x-rate-limit-minute"] == "1000"
    assert answer.headers["x-hourly-requests-left"] == ""


async def test_an_unknown_domain_is_an_empty_object_and_free(client: Client) -> None:
    question = ENRICH["apollo"](next(not_listed_by("apollo", client.world)))
    answer = await client.ask("apollo", question)
    assert (answer.status, answer.json, client.billed("apollo")) == (200, {}, [])
    await client.switch("apollo", "organization_null")
    assert (await client.ask("apollo", question)).json == {"organization": None}


async def test_a_bad_key_is_told_in_words(client: Client) -> None:
    answer = await client.ask("apollo", ENRICH["apollo"](client.world.companies[0]), signed=False)
    assert answer.status == 401
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "x-rate-limit-minute" not in answer.headers


async def test_no_credits_and_bad_input_are_both_422(client: Client) -> None:
    await client.set_balance("apollo", 0)
    answer = await client.ask("apollo", ENRICH["apollo"](next(listed_by("apollo", client.world))))
    assert answer.status == 422
    assert "credit" in answer.json["error"]
    answer = await client.ask("apollo", Question("GET", "api/v1/organizations/enrich"))
    assert answer.status == 422
    assert "credit" not in answer.json["error"]


async def test_a_plan_without_the_endpoint_is_403(client: Client) -> None:
    await client.switch("apollo", "inaccessible")
    answer = await client.ask("apollo", ENRICH["apollo"](client.world.companies[0]))
    assert (answer.status, answer.json["error_code"]) == (403, "API_INACCESSIBLE")


async def test_people_are_matched_by_address_profile_or_name(client: Client) -> None:
    person = next(
        one
        for one in client.world.people
        if "apollo" in one.company.known_to and one.email and one.linkedin and one.last
    )
    by_name = {"first_name": person.first, "last_name": person.last, "domain": person.company.domain}
    for document in ({"email": person.email}, {"linkedin_url": person.linkedin}, by_name):
        answer = await client.ask("apollo", Question("POST", MATCH, document=document))
        assert answer.json["person"]["name"] == person.name
        assert isinstance(answer.json["request_id"], int)
    history = answer.json["person"]["employment_history"]
    assert [job["current"] for job in history] == [True, False]
    assert len(client.billed("apollo")) == 3


@pytest.mark.parametrize("variant", ["", "no_person_key", "stub_person"])
async def test_no_match_invents_nobody(client: Client, variant: str) -> None:
    if variant:
        await client.switch("apollo", variant)
    company = client.world.companies[0]
    answer = await client.ask(
        "apollo", Question("POST", MATCH, document={"email": f"nobody@{company.domain}"})
    )
    person = answer.json.get("person")
    assert answer.status == 200
    assert client.billed("apollo") == []
    if variant == "stub_person":
        assert (person["name"], person["match_confidence"]) == ("", "none")
        assert person["organization"]["name"] == company.name
    else:
        assert person is None


async def test_bulk_people_come_in_order_with_null_for_a_miss(client: Client) -> None:
    person = next(one for one in client.world.people if "apollo" in one.company.known_to and one.email)
    document = {"details": [{"email": "nobody@nowhere.example"}, {"email": person.email}]}
    answer = await client.ask("apollo", Question("POST", "api/v1/people/bulk_match", document=document))
    assert answer.json["matches"][0] is None
    assert answer.json["matches"][1]["email"] == person.email
    assert (answer.json["credits_consumed"], answer.json["error_code"]) == (1, None)
    assert len(client.billed("apollo")) == 1


@pytest.mark.parametrize("shape", ["domains", "details"])
async def test_bulk_organizations_are_joined_on_their_domain(client: Client, shape: str) -> None:
    company = next(listed_by("apollo", client.world))
    domains = ["nowhere.example", company.domain]
    document = (
        {"domains": domains} if shape == "domains" else {"details": [{"domain": one} for one in domains]}
    )
    question = Question("POST", "api/v1/organizations/bulk_enrich", document=document)
    answer = await client.ask("apollo", question)
    assert [one["primary_domain"] for one in answer.json["organizations"]] == [company.domain]
    assert answer.json["missing_records"] == 1


async def test_bulk_takes_ten(client: Client) -> None:
    document = {"domains": [f"a{number}.example" for number in range(11)]}
    answer = await client.ask(
        "apollo", Question("POST", "api/v1/organizations/bulk_enrich", document=document)
    )
    assert (answer.status, answer.json["error_code"]) == (400, "RECORD_LIMIT_EXCEEDED")


async def test_signals_are_asked_by_the_organizations_id(client: Client) -> None:
    company = next(one for one in listed_by("apollo", client.world) if NEWS in one.known_to)
    number = (await client.ask("apollo", ENRICH["apollo"](company))).json["organization"]["id"]
    jobs = await client.ask("apollo", Question("GET", f"api/v1/organizations/{number}/job_postings"))
    assert jobs.json["organization_job_postings"][0]["url"].startswith(f"https://{company.domain}/")
    document = {"organization_ids": [number]}
    news = await client.ask("apollo", Question("POST", "api/v1/news_articles/search", document=document))
    assert company.name in news.json["news_articles"][0]["title"]


async def test_the_balance_is_a_difference(client: Client) -> None:
    await client.set_balance("apollo", 7)
    profile = (await client.ask("apollo", Question("GET", "api/v1/users/api_profile"))).json
    assert profile["effective_num_lead_credits"] - profile["total_unified_credits_used"] == 7
    assert profile["num_credits_remaining"] == 0
    assert (await client.ask("apollo", Question("GET", "api/v1/auth/health"))).status == 200
