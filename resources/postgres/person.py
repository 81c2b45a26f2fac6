"""Who is meant by an address or a lead's id: all leads of one person, in every campaign."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ARRAY, Text, Uuid, any_, cast, func, literal, or_, text
from sqlalchemy.ext.asyncio import AsyncConnection

from phase3_core.errors import BadInput
from phase3_core.forgetting import Marks, Pseudonyms, marks_of, profile_of
from phase3_core.leads import Lead
from phase3_core.suppression import normalised
from resources.postgres.columns import BareDomain
from resources.postgres.lead_rows import BROUGHT, lead_of, leads_as_they_stand
from resources.postgres.tables import leads

_FORGOTTEN_BEFORE = text("""
    SELECT substr(theirs.forgotten, 6)::uuid FROM suppression_list AS known
    JOIN suppression_list AS theirs ON theirs.source = known.source AND theirs.forgotten LIKE 'lead-%'
    WHERE known.forgotten = ANY (:subjects) AND known.source LIKE 'phase3 forget %'
""")


@dataclass(frozen=True, slots=True)
class Person:
    """Their leads in all campaigns, and all addresses. `namesakes`: leads of the same name and company that
    have other addresses, so that nobody knows whether they are theirs.
    """

    leads: Sequence[Lead]
    addresses: tuple[str, ...]
    erased: Sequence[UUID] = ()  # leads that were forgotten before
    namesakes: Sequence[UUID] = ()

    @property
    def ids(self) -> list[UUID]:
        return [*dict.fromkeys([*(lead.id for lead in self.leads), *self.erased])]

    @property
    def marks(self) -> Marks:
        return marks_of(self.leads, self.addresses)


async def person_named(connection: AsyncConnection, who: str, known: Pseudonyms) -> Person:
    wanted = who.strip()
    if address := normalised(wanted):
        found = [one for one in await _people(connection, [address], [], [], []) if _has(one, {address})]
        addresses = {address, wanted.lower()}
        erased = await _forgotten_before(connection, known.subjects_of_address(address))
    else:
        lead_id = _id(wanted)
        found, addresses, erased = await _people(connection, [], [], [], [lead_id]), set(), []
        if not found:
            raise BadInput(f"There is no lead {wanted!r}. Give an address, or a lead's id.")
    people, namesakes = await _all_of(connection, found, addresses)
    addresses |= {one for lead, brought in people for one in (lead.email, brought) if one}
    gone = [lead.id for lead, _ in people if not lead.full_name]
    return Person([lead for lead, _ in people], tuple(sorted(addresses)), [*erased, *gone], namesakes)


def _id(text_: str) -> UUID:
    try:
        return UUID(text_)
    except ValueError:
        raise BadInput(f"{text_!r} is neither an address nor a lead's id.") from None


async def _all_of(
    connection: AsyncConnection, found: Sequence[tuple[Lead, str]], addresses: Collection[str]
) -> tuple[list[tuple[Lead, str]], list[UUID]]:
    """Whoever shares an address or a profile with what is found so far, or a name with nothing against it."""
    people, known = {lead.id: (lead, brought) for lead, brought in found}, {*map(normalised, addresses)}
    while True:
        known |= {one for pair in people.values() for one in _addresses(pair)}
        profiles = {profile_of(lead.linkedin_url) for lead, _ in people.values()} - {""}
        names = {(_name(lead), lead.company_domain) for lead, _ in people.values()}
        domains = {domain for name, domain in names if name and domain}
        near = await _people(connection, sorted(known), sorted(profiles), sorted(domains), [])
        named = {one[0].id: one for one in near if (_name(one[0]), one[0].company_domain) in names}
        sure = {
            one[0].id: one
            for one in near
            if _has(one, known) or (profile_of(one[0].linkedin_url) in profiles and one[0].linkedin_url)
        }
        sure |= {id_: one for id_, one in named.items() if not _addresses(one) and _name(one[0])}
        if sure.keys() <= people.keys():
            return list(people.values()), sorted(named.keys() - people.keys())
        people |= sure


def _addresses(one: tuple[Lead, str]) -> set[str]:
    return {normalised(one[0].email), normalised(one[1])} - {""}


def _has(one: tuple[Lead, str], addresses: Collection[str]) -> bool:
    return not _addresses(one).isdisjoint(addresses)


def _name(lead: Lead) -> str:
    return lead.full_name.casefold() if lead.first_name and lead.last_name else ""


async def _people(
    connection: AsyncConnection,
    addresses: Sequence[str],
    profiles: Sequence[str],
    domains: Sequence[str],
    ids: Sequence[UUID],
) -> list[tuple[Lead, str]]:
    """Leads of any campaign, whatever their status, with the address that phase 2 brought: more than fit."""
    boxes = literal(list(addresses), ARRAY(Text))
    like = literal([f"%{profile}%" for profile in profiles], ARRAY(Text))
    near = or_(
        leads.c.id == any_(literal(list(ids), ARRAY(Uuid))),
        func.phase3_mailbox(cast(leads.c.email, Text)) == any_(boxes),
        func.phase3_mailbox(leads.c.delivered_email) == any_(boxes),
        BareDomain(leads.c.company_domain) == any_(literal(list(domains), ARRAY(Text))),
        func.lower(cast(leads.c.linkedin_url, Text)).like(any_(like)),
    )
    query = leads_as_they_stand().add_columns(BROUGHT.label("brought"))
    rows = await connection.execute(query.where(near).order_by(leads.c.id))
    return [(lead_of(row), row["brought"]) for row in rows.mappings()]


async def _forgotten_before(connection: AsyncConnection, subjects: Sequence[str]) -> list[UUID]:
    return list(await connection.scalars(_FORGOTTEN_BEFORE, {"subjects": list(subjects)}))
