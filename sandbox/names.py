"""Words the world is made of: people, companies, places, technologies; and how a mailbox is spelled."""

import unicodedata


def _words(text: str) -> list[str]:
    return text.split()


FIRST_NAMES = (
    *_words("James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara Richard"),
    *_words("Susan Joseph Jessica Thomas Sarah Charles Karen Daniel Lisa Matthew Nancy Anthony Betty Mark"),
    *_words("Sandra Donald Ashley Steven Kimberly Andrew Emily Paul Donna Joshua Michelle Kenneth Carol"),
    *_words("Kevin Amanda Brian Melissa George Deborah Timothy Stephanie Ronald Rebecca Jason Laura Edward"),
    *_words(
        "Helen Jeffrey Sharon Ryan Cynthia Jacob Kathleen Gary Amy Nicholas Angela Eric Shirley Jonathan"
    ),
    *_words("Brenda Stephen Emma Larry Anna Justin Pamela Scott Nicole Brandon Samantha Benjamin Katherine"),
    *_words("Samuel Christine Gregory Debra Alexander Rachel Frank Carolyn Patrick Janet Raymond Maria Jack"),
    *_words("Olivia Dennis Heather Jerry Diane Tyler Julie Aaron Joyce Jose Victoria Adam Kelly Nathan"),
    *_words("Priya Arjun Ananya Rohan Wei Mei Kenji Yuki Minh Linh Fatima Omar Layla Hassan Amara Kwame"),
    *_words("Lucía Iñigo José André Zoë Chloë Renée Jürgen Björn Søren Łukasz Małgorzata Žiga Çağla Ömer"),
    *_words("Françoise Benoît Hélène Raphaël Mónica Ángel Sofía Tomáš Jiří Gábor Zsófia Ștefan Anaïs"),
    *_words("Anne-Marie Jean-Luc Jean-Pierre Karl-Heinz Mary-Kate Ana-Maria Hans-Peter Marie-Claire"),
    "Juan Carlos",
    "Mary Ann",
    "D'Angelo",
)

LAST_NAMES = (
    *_words("Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez"),
    *_words("Gonzalez Wilson Anderson Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris"),
    *_words("Sanchez Clark Ramirez Lewis Robinson Walker Young Allen King Wright Scott Torres Nguyen Hill"),
    *_words("Flores Green Adams Nelson Baker Hall Rivera Campbell Mitchell Carter Roberts Gomez Phillips"),
    *_words("Evans Turner Diaz Parker Cruz Edwards Collins Reyes Stewart Morris Morales Murphy Cook Rogers"),
    *_words("Gutierrez Ortiz Morgan Cooper Peterson Bailey Reed Kelly Howard Ramos Kim Cox Ward Richardson"),
    *_words(
        "Watson Brooks Chavez Wood James Bennett Gray Mendoza Ruiz Hughes Price Alvarez Castillo Sanders"
    ),
    *_words("Patel Myers Long Ross Foster Jimenez Powell Jenkins Perry Russell Sullivan Bell Coleman Butler"),
    *_words(
        "Sharma Gupta Singh Khan Chen Wang Tanaka Sato Okafor Mensah Haddad Rossi Ferrari Novak Kowalski"
    ),
    *_words("Müller Schröder Jäger Groß Åkesson Østergård Sørensen Lindström Björk Wałęsa Dvořák Nováček"),
    *_words(
        "Núñez Muñoz Ibáñez Peña Côté Lefèvre Gonçalves Conceição Y\u0131lmaz Öztürk Szabó Kovács Popović"
    ),
    *_words("O'Brien O'Connor O'Neill D'Souza D'Amico M'Bala"),
    *_words("Smith-Jones Lloyd-Davies Garcia-Lopez Meyer-Landrut Taylor-Green"),
    "van der Berg",
    "van Dijk",
    "de la Cruz",
    "de Souza",
    "von Hohenberg",
    "bin Rashid",
    "Di Lorenzo",
    "Mac Giolla",
    "St. Clair",
)

MONONYMS = ("Suharto", "Sukarno", "Madhavan", "Thiru", "Wahyu", "Slamet", "Nani", "Teller")

# (first as written, last as written, first in a mailbox, last in a mailbox)
OTHER_SCRIPTS = (
    ("Иван", "Петров", "ivan", "petrov"),
    ("Ольга", "Смирнова", "olga", "smirnova"),
    ("Дмитрий", "Соколов", "dmitriy", "sokolov"),
    ("Анна", "Кузнецова", "anna", "kuznetsova"),
    ("Богдан", "Шевченко", "bogdan", "shevchenko"),
    ("Γιώργος", "Παπαδόπουλος", "giorgos", "papadopoulos"),
    ("Ελένη", "Νικολάου", "eleni", "nikolaou"),
    ("Νίκος", "Γεωργίου", "nikos", "georgiou"),
    ("伟", "王", "wei", "wang"),
    ("芳", "李", "fang", "li"),
    ("健一", "田中", "kenichi", "tanaka"),
    ("美咲", "佐藤", "misaki", "sato"),
    ("민준", "김", "minjun", "kim"),
    ("서연", "이", "seoyeon", "lee"),
    ("محمد", "حداد", "mohammed", "haddad"),
    ("ليلى", "منصور", "layla", "mansour"),
    ("يوسف", "خليل", "youssef", "khalil"),
)

TITLES = (
    "Chief Executive Officer",
    "Chief Technology Officer",
    "Chief Marketing Officer",
    "Founder",
    "Managing Director",
    "VP Sales",
    "VP Operations",
    "VP Engineering",
    "Head of Operations",
    "Head of Growth",
    "Head of People",
    "Director of Marketing",
    "Director of Finance",
    "Sales Manager",
    "Marketing Manager",
    "Operations Manager",
    "Product Manager",
    "Account Executive",
    "Business Development Manager",
    "Procurement Lead",
)

COMPANY_FIRST = (
    *_words("Acorn Alder Amber Anchor Apex Arbor Arrow Ash Aspen Atlas Aurora Autumn Badger Banner Basalt"),
    *_words("Beacon Birch Blue Bold Boulder Bramble Bright Bronze Brook Canyon Cardinal Cascade Cedar Chalk"),
    *_words("Cherry Cinder Clear Cliff Clover Cobalt Comet Compass Copper Coral Crane Crest Crimson Crown"),
    *_words("Crystal Cypress Dawn Delta Drift Eagle Eastern Ebony Echo Elm Ember Emerald Falcon Fern Field"),
    *_words("Fjord Flint Forest Fox Frontier Garnet Glacier Golden Granite Grove Harbor Harvest Hawk Hazel"),
    *_words("Heron High Highland Hollow Horizon Indigo Iron Ivory Ivy Jade Juniper Keystone Lantern Lark"),
    *_words("Laurel Lighthouse Linden Lively Lotus Lumen Lunar Magnolia Maple Marble Marigold Meadow Mesa"),
    *_words("Midland Mill Mint Modern Moss Noble North Northern Northwind Oak Oasis Ocean Olive Onyx Opal"),
    *_words("Orchard Osprey Otter Pacific Peak Pearl Pebble Pine Pioneer Polar Prairie Prime Quartz Quiet"),
    *_words("Quill Rapid Raven Red Ridge River Robin Rowan Royal Ruby Sable Saffron Sage Sail Sierra Silver"),
)

# second word of the name -> industry
COMPANY_SECOND = {
    word: industry
    for industry, words in {
        "industrial automation": "Robotics Automation Controls Machines Motion Tooling Drives Sensors",
        "computer software": "Software Systems Labs Cloud Apps Data Analytics Works",
        "logistics": "Logistics Freight Shipping Cargo Transit Haulage Carriers Depot",
        "health care": "Health Medical Clinics Care Therapeutics Diagnostics Wellness Dental",
        "financial services": "Capital Finance Lending Payments Insurance Advisors Wealth Funding",
        "marketing": "Media Marketing Creative Studio Brands Digital Outreach Signals",
        "construction": "Builders Construction Homes Roofing Paving Concrete Interiors Design",
        "food": "Foods Bakery Farms Kitchen Beverages Brewing Dairy Grocers",
        "education": "Academy Learning Training Schools Tutors Courses Campus Press",
        "energy": "Energy Solar Power Grid Wind Fuels Batteries Utilities",
        "retail": "Outfitters Goods Market Supply Apparel Furniture Toys Sports",
        "staffing": "Staffing Talent Recruiting People Partners Consulting Legal Services",
    }.items()
    for word in _words(words)
}

PLACES = (
    ("Austin", "Texas", "TX", "United States", "US"),
    ("Denver", "Colorado", "CO", "United States", "US"),
    ("Chicago", "Illinois", "IL", "United States", "US"),
    ("Portland", "Oregon", "OR", "United States", "US"),
    ("Boston", "Massachusetts", "MA", "United States", "US"),
    ("Toronto", "Ontario", "ON", "Canada", "CA"),
    ("London", "England", "ENG", "United Kingdom", "GB"),
    ("Munich", "Bavaria", "BY", "Germany", "DE"),
    ("Lyon", "Auvergne-Rhône-Alpes", "ARA", "France", "FR"),
    ("Madrid", "Madrid", "MD", "Spain", "ES"),
    ("Utrecht", "Utrecht", "UT", "Netherlands", "NL"),
    ("Melbourne", "Victoria", "VIC", "Australia", "AU"),
)

# each with BuiltWith's coarse tag and its category
TECHNOLOGIES = (
    ("HubSpot", "analytics", "Marketing Automation"),
    ("Salesforce", "crm", "Customer Relationship Management"),
    ("Google Analytics", "analytics", "Web Analytics"),
    ("Cloudflare DNS", "ns", "DNS"),
    ("nginx", "Web Server", ""),
    ("WordPress", "cms", "Content Management"),
    ("Shopify", "shop", "E-commerce"),
    ("React", "javascript", "JavaScript Library"),
    ("Google Workspace", "mx", "Business Email Hosting"),
    ("Microsoft 365", "mx", "Business Email Hosting"),
    ("Stripe", "payment", "Payments"),
    ("Intercom", "widgets", "Live Chat"),
    ("Greenhouse", "widgets", "Applicant Tracking System"),
    ("AWS Route 53", "ns", "DNS"),
    ("Segment", "analytics", "Customer Data Platform"),
    ("Zendesk", "widgets", "Ticketing"),
)

PATTERNS = {
    "first.last": 48,
    "flast": 18,
    "firstlast": 9,
    "first": 8,
    "f.last": 6,
    "last": 3,
    "first_last": 3,
    "last.first": 3,
    "lastf": 2,
}

ROLES = frozenset(("info", "sales", "contact", "office", "hello", "support", "admin"))

_UNDECOMPOSED = str.maketrans(
    {"ß": "ss", "ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "\u0131": "i", "ð": "d", "þ": "th"}
)


def folded(text: str) -> str:
    """Lower-case letters and digits without marks: how a vendor compares two spellings of a name."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_UNDECOMPOSED))
    return "".join(filter(str.isalnum, plain))


def local_part(pattern: str, first: str, last: str) -> str:
    """The mailbox name by a company's pattern, from names already folded; a missing half leaves the other."""
    if not first or not last:
        return first or last
    return {
        "first.last": f"{first}.{last}",
        "flast": f"{first[0]}{last}",
        "firstlast": f"{first}{last}",
        "first": first,
        "f.last": f"{first[0]}.{last}",
        "last": last,
        "first_last": f"{first}_{last}",
        "last.first": f"{last}.{first}",
        "lastf": f"{last}{first[0]}",
    }[pattern]
