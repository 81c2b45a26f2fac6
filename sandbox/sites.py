"""The companies' own web sites, addressed by Host header."""

import json
from html import escape

from sandbox.companies import NEWS, Company, Site
from sandbox.wire import HTML, TEXT, Reply, text
from sandbox.world import World

OPEN_ROBOTS = "User-agent: *\nAllow: /\n"
CLOSED_ROBOTS = "User-agent: *\nDisallow: /\n"
PARKED_PAGE = "<html><head><title>{0} is for sale</title></head><body>Buy this domain.</body></html>"
NOT_FOUND = text("<h1>Not Found</h1>", 404, HTML)
FAILED = text("<h1>Internal Server Error</h1>", 500, HTML)

HANG_UP = Reply(0, b"")  # not an answer: the connection is to be closed
WITHOUT_PAGES = {Site.CLOSED: HANG_UP, Site.FAILING: FAILED, Site.MISSING: NOT_FOUND}


def company_page(world: World, host: str, path: str) -> Reply:
    """What the company's server answers; pages are made anew each time, nothing asks often."""
    apex = host.removeprefix("www.")
    company = world.company(apex)
    if company is None or company.domain != apex:
        return text(PARKED_PAGE.format(escape(host)), 404, HTML)
    if company.site in WITHOUT_PAGES:
        return WITHOUT_PAGES[company.site]
    if company.site is Site.PARKED:
        return text(PARKED_PAGE.format(escape(apex)), 200, HTML)
    if company.site is Site.REDIRECT and host == apex:
        return Reply(301, b"", HTML, {"Location": f"http://www.{apex}{path}"})
    return _page(company, path)


def _page(company: Company, path: str) -> Reply:
    if path == "/robots.txt":
        return text(CLOSED_ROBOTS if company.site is Site.DISALLOWED else OPEN_ROBOTS, 200, TEXT)
    if path == "/":
        return text(_home(company), 200, HTML)
    if path in {"/about", "/company"}:
        return text(_about(company), 200, HTML)
    if path == "/careers" and NEWS in company.known_to:
        return text(_document(company, "", "<h1>Careers</h1><ul><li>Operations Analyst</li></ul>"), 200, HTML)
    return NOT_FOUND


def _home(company: Company) -> str:
    described = company.site in {Site.RICH, Site.META, Site.REDIRECT, Site.DISALLOWED}
    head = f'<meta name="description" content="{escape(company.description)}">' if described else ""
    if company.site in {Site.RICH, Site.REDIRECT}:
        head += f'<script type="application/ld+json">{json.dumps(_organization(company))}</script>'
    words = f"<p>{escape(company.description)}</p>" if company.site is Site.TEXT else ""
    return _document(company, head, f"<h1>{escape(company.name)}</h1>{words}{_links(company)}")


def _about(company: Company) -> str:
    head = f'<meta name="description" content="{escape(company.description)}">'
    described = head if company.site is Site.ABOUT else ""
    return _document(company, described, f"<h1>About</h1><p>{escape(company.description)}</p>")


def _document(company: Company, head: str, body: str) -> str:
    title = f"<title>{escape(company.name)}</title>"
    return f'<!doctype html><html lang="en"><head>{title}{head}</head><body>{body}</body></html>'


def _links(company: Company) -> str:
    profile = f"https://www.linkedin.com/company/{company.slug}"
    phone = company.phone.replace(" ", "")
    hiring = '<a href="/careers">Careers</a>' if NEWS in company.known_to else ""
    call = f'<a href="tel:{phone}">{company.phone}</a>'
    return f'<a href="/about">About</a>{hiring}<a href="{profile}">LinkedIn</a>{call}'


def _organization(company: Company) -> dict[str, object]:
    """JSON-LD; the number of employees in the three forms that sites use."""
    employees: tuple[object, ...] = (
        company.employees,
        str(company.employees),
        {"@type": "QuantitativeValue", "value": company.employees},
    )
    return {
        "@context": "https://schema.org",
        "@type": "Organization",
        "name": company.name,
        "url": f"https://{company.domain}/",
        "description": company.description,
        "foundingDate": f"{company.founded}-01-01",
        "numberOfEmployees": employees[company.number % 3],
        "telephone": company.phone,
        "sameAs": [f"https://www.linkedin.com/company/{company.slug}", f"https://x.com/{company.slug}"],
    }
