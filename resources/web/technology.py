"""Which technology stands behind a site, by what its pages load and its server says. Pure and bounded."""

import re
from collections.abc import Iterator, Mapping

from resources.web.links import on_site
from resources.web.wording import one_line

_TECH_BY_HOST = {
    "googletagmanager.com": "Google Tag Manager",
    "google-analytics.com": "Google Analytics",
    "hs-scripts.com": "HubSpot",
    "hsforms.net": "HubSpot",
    "hubspot.com": "HubSpot",
    "cdn.shopify.com": "Shopify",
    "parastorage.com": "Wix",
    "wixstatic.com": "Wix",
    "squarespace.com": "Squarespace",
    "squarespace-cdn.com": "Squarespace",
    "website-files.com": "Webflow",
    "framerusercontent.com": "Framer",
    "intercom.io": "Intercom",
    "intercomcdn.com": "Intercom",
    "js.stripe.com": "Stripe",
    "segment.com": "Segment",
    "hotjar.com": "Hotjar",
    "clarity.ms": "Microsoft Clarity",
    "pardot.com": "Salesforce Pardot",
    "marketo.net": "Marketo",
    "marketo.com": "Marketo",
    "zdassets.com": "Zendesk",
    "drift.com": "Drift",
    "crisp.chat": "Crisp",
    "licdn.com": "LinkedIn Insight",
    "facebook.net": "Meta Pixel",
    "typekit.net": "Adobe Fonts",
    "cookiebot.com": "Cookiebot",
    "onetrust.com": "OneTrust",
    "plausible.io": "Plausible",
    "matomo.cloud": "Matomo",
    "cloudflareinsights.com": "Cloudflare",
}
_TECH_BY_PATH = {
    "/wp-content/": "WordPress",
    "/wp-includes/": "WordPress",
    "/_next/": "Next.js",
    "/_nuxt/": "Nuxt",
}
MAX_TECH_NAME = 60


def loaded_by(asset: str) -> Iterator[str]:
    """What a script or style sheet at the address `asset` belongs to."""
    site = on_site(asset, _TECH_BY_HOST)
    if site:
        yield _TECH_BY_HOST[site]
    yield from (name for path, name in _TECH_BY_PATH.items() if path in asset)


def named_by(headers: Mapping[str, str]) -> Iterator[str]:
    """What a server calls itself, without versions."""
    for name in ("server", "x-powered-by"):
        yield re.split(r"[/(;]", one_line(headers.get(name), MAX_TECH_NAME))[0].strip()
