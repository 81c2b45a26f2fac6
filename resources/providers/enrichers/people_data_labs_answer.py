"""A company as People Data Labs tells it."""

from typing import Any

from resources.providers.reading import bare_domain, strings_at, text_at, whole_number_at
from resources.providers.request import Request

LIKELY = 6


def is_wanted(company: dict[str, Any], asked: Request | None) -> bool:
    """A match is a guess: it counts where it names the domain that was asked, or is likely."""
    domain = bare_domain(asked.query.get("website", "")) if asked else ""
    told = {
        bare_domain(text_at(company, "website")),
        *map(bare_domain, strings_at(company, "alternative_domains")),
    }
    return (domain != "" and domain in told) or (whole_number_at(company, "likelihood") or 0) >= LIKELY


def fields(company: dict[str, Any]) -> dict[str, Any]:
    """Revenue comes with a sales contract only; technologies and phones not at all."""
    profiles = [text_at(company, f"{site}_url") for site in ("linkedin", "facebook", "twitter")]
    return {
        "company_description": text_at(company, "summary") or text_at(company, "headline"),
        "company_industry": text_at(company, "industry_v2") or text_at(company, "industry"),
        "company_employee_count": whole_number_at(company, "employee_count"),
        "company_revenue_range": text_at(company, "inferred_revenue"),
        "company_founded_year": whole_number_at(company, "founded"),
        "company_keywords": strings_at(company, "tags"),
        "social_profiles": [f"https://{profile}" for profile in profiles if profile],
    }
