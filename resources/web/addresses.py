"""Which hosts and addresses a name from lead data may lead us to. Pure: nothing here resolves or dials."""

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import idna

if TYPE_CHECKING:
    from tldextract import TLDExtract

Network = IPv4Network | IPv6Network

# Spelled out, because what `ipaddress` calls private or global differs between Python versions.
_DENIED_V4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata service sits at 100.100.100.200
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's metadata and DNS service, a public address by the book
        "169.254.0.0/16",  # link-local; the metadata service of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata service sits at 192.0.0.192
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_UNICAST_V6 = IPv6Network("2000::/3")  # site-local, unique-local, link-local, multicast: all outside
_DENIED_V6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "3fff::/20",
    )
)
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_6TO4 = IPv6Network("2002::/16")
_ISATAP = (0x00005EFE, 0x02005EFE)


def is_public(address: str, *, also_denied: Sequence[Network] = ()) -> bool:
    """Whether dialling `address` can only reach the public internet; False for anything unparsable.

    `also_denied` holds our own public addresses: a lead's name must not lead back to us either.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv4Address):
        return _is_public_v4(ip, also_denied)
    return _is_public_v6(ip, also_denied)


def _is_public_v4(ip: IPv4Address, also_denied: Sequence[Network]) -> bool:
    return ip.is_global and not any(ip in network for network in (*_DENIED_V4, *also_denied))


def _is_public_v6(ip: IPv6Address, also_denied: Sequence[Network]) -> bool:
    if ip.scope_id is not None:
        return False
    if ip in _MAPPED or ip in _NAT64:  # merely a spelling of the IPv4 address: that one decides
        return _is_public_v4(_low_bits(ip), also_denied)
    if any(not _is_public_v4(inner, also_denied) for inner in _embedded(ip)):
        return False
    # `::a.b.c.d`, the local NAT64 prefix 64:ff9b:1::/48 and Teredo fail here whatever they embed.
    denied = any(ip in network for network in (*_DENIED_V6, *also_denied))
    return ip in _UNICAST_V6 and ip.is_global and not denied


def _embedded(ip: IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses a tunnel on the way may take the packet to."""
    bits = int(ip)
    if ip in _6TO4:
        yield IPv4Address(bits >> 80 & 0xFFFFFFFF)
    if bits >> 32 & 0xFFFFFFFF in _ISATAP:
        yield _low_bits(ip)


def _low_bits(ip: IPv6Address) -> IPv4Address:
    return IPv4Address(int(ip) & 0xFFFFFFFF)


class Refusal(StrEnum):
    """Why a host is not one we visit."""

    NOT_A_NAME = "not a host name"
    IP_LITERAL = "an address instead of a name"
    USER_INFO = "a user name or password in the address"
    TRAILING_DOT = "a trailing dot"
    RESERVED = "a reserved or internal name"
    UNKNOWN_SUFFIX = "no known public suffix"
    SCHEME = "neither http nor https"
    PORT = "a port other than the scheme's own"
    NO_CONTACT = "a public site, while only the sandbox's are read"


@dataclass(frozen=True, slots=True)
class Host:
    """A name fit to be resolved; its addresses still have to pass `is_public`."""

    name: str
    registrable: str
    sandboxed: bool = False


_MAX_NAME = 253
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")  # what a C library may read as IPv4
_PORTS = {"http": 80, "https": 443}
_SANDBOX_TLD = "example"
_RESERVED = frozenset(
    [
        *("localhost", "localdomain", "local", "internal", "intranet", "private", "corp", "home", "lan"),
        *("arpa", "onion", "alt", "test", "invalid"),
    ]
)


def vetted_host(url_or_domain: str, *, sandbox: bool = False) -> Host | Refusal:
    """The host of a URL or a bare domain, lower-cased and IDNA-encoded, or why it is refused.

    `.example` passes only with `sandbox`: the name is reserved, so no public site can be meant by it.
    """
    parts = _split(url_or_domain)
    if isinstance(parts, Refusal):
        return parts
    name = _name(parts)
    return name if isinstance(name, Refusal) else _classified(name, sandbox=sandbox)


def _split(text: str) -> SplitResult | Refusal:
    is_url = "://" in text
    # Parsers disagree about these, and a disagreement is how a check is passed by one host for another.
    if any(character <= " " or character in "\\\x7f" for character in text):
        return Refusal.NOT_A_NAME
    try:
        parts = urlsplit(text if is_url else f"//{text}")
    except ValueError:  # brackets round something that is no address
        return Refusal.IP_LITERAL
    if is_url and parts.scheme not in _PORTS:
        return Refusal.SCHEME
    if not is_url and (parts.path or parts.query or parts.fragment):
        return Refusal.NOT_A_NAME
    return parts


def _name(parts: SplitResult) -> str | Refusal:
    authority = parts.netloc
    if "@" in authority:
        return Refusal.USER_INFO
    if "[" in authority or authority.count(":") > 1:
        return Refusal.IP_LITERAL
    host, colon, port = authority.partition(":")
    if colon and port != str(_PORTS.get(parts.scheme, "")):
        return Refusal.PORT
    return _ascii(host)


def _ascii(host: str) -> str | Refusal:
    name = host.lower()
    if not name.isascii():
        try:
            name = idna.encode(host, uts46=True, std3_rules=True).decode("ascii")
        except (idna.IDNAError, ValueError):
            return Refusal.NOT_A_NAME
    if name.endswith("."):
        return Refusal.TRAILING_DOT
    if _ENDS_IN_NUMBER.fullmatch(name):
        return Refusal.IP_LITERAL
    labels = name.split(".")
    if len(name) > _MAX_NAME or not all(map(_LABEL.fullmatch, labels)):
        return Refusal.NOT_A_NAME
    return name


def _classified(name: str, *, sandbox: bool) -> Host | Refusal:
    labels = name.split(".")
    if labels[-1] in _RESERVED:
        return Refusal.RESERVED
    if len(labels) == 1:
        return Refusal.NOT_A_NAME
    if sandbox and labels[-1] == _SANDBOX_TLD:
        return Host(name, ".".join(labels[-2:]), sandboxed=True)
    found = _public_suffixes()(name)
    if not found.suffix or not (found.domain or found.is_private):
        return Refusal.UNKNOWN_SUFFIX
    return Host(name, found.top_domain_under_public_suffix or name)


@functools.cache
def _public_suffixes() -> "TLDExtract":
    """The list bundled with the library: no download, no disk cache, the same answer everywhere."""
    from tldextract import TLDExtract  # noqa: PLC0415 - it brings an HTTP client of its own; most commands read no site

    return TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)


def networks(blocks: Sequence[str]) -> tuple[Network, ...]:
    """Configured addresses or blocks; a misspelt one is an error, not a hole."""
    return tuple(ip_network(block) for block in blocks)
