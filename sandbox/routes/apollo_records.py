"""What Apollo has on file of companies and people, in its own fields."""

from typing import Any

from sandbox.companies import Company
from sandbox.people import Person


def is_id(number: str) -> bool:
    return number.startswith("5f00aa11") and all(digit in "0123456789abcdef" for digit in number)


def company_id(company: Company) -> str:
    return f"5f00aa11{company.number:016x}"


def brief(company: Company) -> dict[str, Any]:
    return {"id": company_id(company), "name": company.name}


def person_record(person: Person) -> dict[str, Any]:
    company = person.company
    city, state, _, country, _ = company.place
    current = {
        "_id": f"66d1{person.number:08x}",
        "current": True,
        "organization_id": company_id(company),
        "organization_name": company.name,
        "title": person.title,
        "start_date": "2022-04-01",
        "end_date": None,
        "degree": None,
        "major": None,
        "kind": None,
    }
    earlier = {
        "_id": f"66d2{person.number:08x}",
        "current": False,
        "organization_id": None,
        "organization_name": "Lone Star Freight",
        "title": "Operations Manager",
        "start_date": "2017-01-01",
        "end_date": "2022-03-01",
    }
    return {
        "id": f"64b0aa11{person.number:016x}",
        "first_name": person.first,
        "last_name": person.last,
        "name": person.name,
        "title": person.title,
        "headline": f"{person.title} at {company.name}",
        "linkedin_url": person.linkedin.replace("https://", "http://") or None,
        "email": person.email or None,
        "email_status": "verified" if person.email else None,
        "twitter_url": None,
        "github_url": None,
        "facebook_url": None,
        "city": city,
        "state": state,
        "country": country,
        "organization_id": company_id(company),
        "seniority": "vp" if person.title.startswith("VP") else "manager",
        "departments": ["master_operations"],
        "subdepartments": ["operations"],
        "functions": ["operations"],
        "employment_history": [current, {**current, **earlier}],
        "contact_id": None,
        "contact": None,
        "organization": brief(company),
        "is_likely_to_engage": True,
    }


def organization_record(company: Company) -> dict[str, Any]:
    city, state, short, country, code = company.place
    digits = "+" + "".join(filter(str.isdigit, company.phone))
    raised = company.raised
    return {
        "id": company_id(company),
        "name": company.name,
        "website_url": f"http://www.{company.domain}",
        "primary_domain": company.domain,
        "linkedin_url": f"http://www.linkedin.com/company/{company.slug}",
        "twitter_url": None,
        "facebook_url": None,
        "crunchbase_url": None,
        "phone": company.phone,
        "primary_phone": {"number": company.phone, "sanitized_number": digits},
        "founded_year": company.founded,
        "publicly_traded_symbol": None,
        "industry": company.industry,
        "industries": [company.industry],
        "secondary_industries": [],
        "keywords": company.keywords,
        "estimated_num_employees": company.employees,
        "raw_address": f"200 Main Street, {city}, {short}, {code}",
        "city": city,
        "state": state,
        "country": country,
        "seo_description": company.description,
        "short_description": company.description,
        "annual_revenue": company.revenue,
        "annual_revenue_printed": f"{company.revenue / 1e6:.0f}M",
        "total_funding": raised or None,
        "total_funding_printed": f"{raised / 1e6:.0f}M" if raised else None,
        "latest_funding_stage": "Series B" if raised else None,
        "latest_funding_round_date": "2025-03-11T00:00:00.000+00:00" if raised else None,
        "funding_events": [funding(company)] if raised else [],
        "technology_names": [name for name, _, _ in company.technologies],
        "current_technologies": [
            {"uid": name.lower().replace(" ", "_"), "name": name, "category": category or tag}
            for name, tag, category in company.technologies
        ],
        "organization_headcount_twelve_month_growth": float(company.number % 40 - 10),
        "departmental_head_count": {"engineering": company.employees // 3, "sales": company.employees // 8},
    }


def funding(company: Company) -> dict[str, Any]:
    return {
        "id": f"f{company.number}",
        "date": "2025-03-11T00:00:00.000+00:00",
        "type": "Series B",
        "investors": "Blue Mesa, Harbor VC",
        "amount": f"{company.raised / 2e6:.0f}M",
        "currency": "$",
        "news_url": None,
    }


def posting(company: Company) -> dict[str, Any]:
    city, state, _, country, _ = company.place
    return {
        "id": f"job{company.number}",
        "title": "Operations Analyst",
        "url": f"https://{company.domain}/careers/operations-analyst",
        "city": city,
        "state": state,
        "country": country,
        "last_seen_at": "2026-09-01T00:00:00.000+00:00",
        "posted_at": "2026-08-20T00:00:00.000+00:00",
    }


def article(company: Company) -> dict[str, Any]:
    return {
        "url": f"https://news.example/{company.slug}",
        "domain": "news.example",
        "title": f"{company.name} opens a second site",
        "snippet": company.description,
        "published_at": "2026-08-11T00:00:00.000+00:00",
        "event_categories": ["expands_facilities"],
    }
