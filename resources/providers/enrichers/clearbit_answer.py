"""A company as Clearbit tells it; any field may be null, and substitutes send text for numbers."""

from typing import Any

from resources.providers.reading import dig, strings_at, text_at, whole_number_at

PROFILES = {
    "linkedin": "https://www.linkedin.com/",
    "facebook": "https://www.facebook.com/",
    "twitter": "https://twitter.com/",
    "crunchbase": "https://www.crunchbase.com/",
}


def company_in(body: Any) -> dict[str, Any]:
    """Flat, or inside `data` as a substitute sends it; empty where there is none."""
    inner = dig(body, "data")
    company = inner if isinstance(inner, dict) else body
    return company if isinstance(company, dict) and (company.get("name") or company.get("domain")) else {}


def fields(company: dict[str, Any]) -> dict[str, Any]:
    return {
        "company_description": text_at(company, "description"),
        "company_industry": _industry(company),
        "company_employee_count": whole_number_at(company, "metrics", "employees"),
        "company_revenue_range": _revenue(company),
        "company_founded_year": whole_number_at(company, "foundedYear"),
        "company_tech_stack": strings_at(company, "tech"),
        "company_keywords": strings_at(company, "tags"),
        "social_profiles": _profiles(company),
        "phones": _phones(company),
    }


def _industry(company: dict[str, Any]) -> str:
    names = (text_at(company, "category", name) for name in ("industry", "subIndustry", "sector"))
    return next((name for name in names if name), "")


def _revenue(company: dict[str, Any]) -> str:
    """An exact figure is known of public companies only."""
    exact = whole_number_at(company, "metrics", "annualRevenue")
    return f"${exact:,}" if exact else text_at(company, "metrics", "estimatedAnnualRevenue")


def _profiles(company: dict[str, Any]) -> list[str]:
    """Handles are the end of an address, not an address."""
    handles = {site: text_at(company, name, "handle") for name, site in PROFILES.items()}
    return [site + handle.lstrip("/") for site, handle in handles.items() if handle]


def _phones(company: dict[str, Any]) -> list[str]:
    numbers = [text_at(company, "phone"), *strings_at(dig(company, "site"), "phoneNumbers")]
    return list(dict.fromkeys(number for number in numbers if number))
