"""ZoomInfo: company facts by website; technologies are not among them."""

from typing import Any

from phase3_core.tiers import Topic
from resources.providers.enrichers import zoominfo
from resources.providers.enrichers.zoominfo_matching import first_text, new_record, reading
from resources.providers.reading import items_at, strings_at, text_at, whole_number_at
from resources.providers.request import Question, Request
from resources.providers.spec import Operation

WANTED = (
    "name",
    "website",
    "description",
    "primaryIndustry",
    "industries",
    "employeeCount",
    "revenueRange",
    "foundedYear",
    "phone",
    "socialMediaUrls",
)


def by_website(question: Question) -> Request | None:
    domain = question.lead.company_domain
    asked = [{"companyWebsite": domain}]
    wanted = list(WANTED)
    return (
        zoominfo.enrich("companies", "CompanyEnrich", matchCompanyInput=asked, outputFields=wanted)
        if domain
        else None
    )


def fields(company: Any) -> dict[str, Any]:
    """Numbers come as text here and there; revenue as a range, since its unit is not the same everywhere."""
    told = text_at(company, "description") or text_at(company, "descriptionList", 0, "description")
    profiles = (text_at(one, "url") for one in items_at(company, "socialMediaUrls"))
    return {
        "company_description": told,
        "company_industry": first_text(company.get("primaryIndustry"))
        or first_text(company.get("industries")),
        "company_employee_count": whole_number_at(company, "employeeCount"),
        "company_revenue_range": text_at(company, "revenueRange"),
        "company_founded_year": whole_number_at(company, "foundedYear"),
        "company_keywords": strings_at(company, "industries"),
        "social_profiles": [profile for profile in profiles if profile],
        "phones": [phone for phone in [text_at(company, "phone")] if phone],
    }


read = reading(fields, new_record, "data")
TOPICS = frozenset({Topic.COMPANY, Topic.WEBSITE})
SPEC = zoominfo.spec(TOPICS, "company", Operation("companies-enrich", by_website, read), per_company=True)
