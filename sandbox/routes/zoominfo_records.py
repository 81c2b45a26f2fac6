"""What ZoomInfo has on file of companies and people, in its own fields."""

from typing import Any

from sandbox.companies import Company
from sandbox.people import Person

BASE_ID = 361_200_000


def company_id(company: Company) -> str:
    return str(BASE_ID + company.number)


def brief(company: Company) -> dict[str, Any]:
    return {"id": company_id(company), "name": company.name, "website": f"www.{company.domain}"}


def company_record(company: Company) -> dict[str, Any]:
    city, state, _, country, _ = company.place
    profile = f"http://www.linkedin.com/company/{company.slug}"
    funding = company.raised // 1_000 or None
    return {
        "id": company_id(company),
        "name": company.name,
        "website": f"www.{company.domain}",
        "description": company.description,
        "primaryIndustry": [company.industry.title()],
        "industries": [company.industry.title()],
        "employeeCount": company.employees,
        "employeeRange": "100 - 250",
        "revenue": company.revenue // 1_000,
        "revenueRange": "$10 mil. - $25 mil.",
        "foundedYear": str(company.founded),
        "phone": company.phone.removeprefix("+1 "),
        "socialMediaUrls": [
            {"type": "LINKED_IN", "url": profile, "followerCount": str(company.employees * 9)}
        ],
        "companyFunding": [],
        "recentFundingAmount": funding,
        "recentFundingDate": "2025-03-11" if funding else None,
        "totalFundingAmount": funding,
        "employeeGrowth": {"oneYearGrowthRate": str(company.number % 40 - 10)},
        "city": city,
        "state": state,
        "country": country,
    }


def contact_record(person: Person) -> dict[str, Any]:
    company = person.company
    role = {
        "companyId": company_id(company),
        "companyName": company.name,
        "companyWebsite": f"www.{company.domain}",
    }
    degree = {"degree": "Bachelor", "areaOfStudy": "Economics"}
    job = {"jobTitle": person.title, "managementLevel": ["Manager"], "fromDate": "2022-04-01", "toDate": None}
    return {
        "id": str(BASE_ID + person.number),
        "firstName": person.first,
        "lastName": person.last,
        "jobTitle": person.title,
        "managementLevel": ["Manager"],
        "jobFunction": [{"name": "Operations"}],
        "email": person.email or None,
        "phone": company.phone.removeprefix("+1 "),
        "mobilePhone": None,
        "directPhoneDoNotCall": person.number % 5 == 0,
        "mobilePhoneDoNotCall": person.number % 5 == 0,
        "externalUrls": [{"type": "LINKED_IN", "url": person.linkedin}] if person.linkedin else [],
        "education": [{"school": "University of the Plains", "educationDegree": degree}],
        "employmentHistory": [{**job, "company": role}],
        "yearsOfExperience": str(person.number % 30),
        "positionStartDate": "2022-04-01",
        "contactAccuracyScore": "94",
        "withinEu": company.place[4] in {"DE", "FR", "ES", "NL"},
        "noticeProvidedDate": None,
        "companyName": company.name,
        "companyId": company_id(company),
        "companyRevenueRange": "$10 mil. - $25 mil.",
    }


def intent_signal(company: Company, topic: str) -> dict[str, Any]:
    return {
        "id": company_id(company),
        "category": company.industry.title(),
        "topic": topic,
        "signalScore": 60 + company.number % 40,
        "audienceStrength": "ABCDE"[company.number % 5],
        "signalDate": "2026-09-01T10:00:00Z",
        "spikesInDateRange": 1,
        "newSignal": True,
        "recommendedContacts": [],
        "topSignalLocations": [],
        "company": {**brief(company), "hasOtherTopicConsumption": True},
    }


def technologies(company: Company) -> list[dict[str, Any]]:
    return [
        {
            "product": name,
            "vendor": name.split()[0],
            "category": category or tag,
            "categoryParent": tag,
            "domain": company.domain,
            "website": f"www.{company.domain}",
            "createdDate": "2024-02-01",
            "modifiedDate": "2026-08-01",
        }
        for name, tag, category in company.technologies
    ]
