import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.web.addresses import Host, Refusal, is_public, networks, vetted_host


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.255.255", "172.32.0.1"),
        *("192.0.1.1", "198.17.255.255", "198.20.0.1", "223.255.255.255", "168.63.129.17"),
        *("2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"),
        "2606:4700::5efe:808:808",
    ],
)
def test_the_public_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "10.0.0.1", "127.0.0.1", "127.255.0.1", "172.16.0.1", "172.31.255.255"),
        *(
            "192.168.1.1",
            "192.0.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
        ),
        *("198.51.100.1", "203.0.113.10", "100.64.0.1", "100.127.255.255", "224.0.0.1", "239.1.1.1"),
        *("240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd12::1", "ff02::1", "100::1", "2001:db8::1"),
        *("3fff::1", "5f00::1", "2001:2::1", "2001:20::1", "4000::1"),
    ],
)
def test_every_special_range_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254"])
def test_metadata_services_are_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "::8.8.8.8",  # IPv4-compatible addresses are no more, whatever they embed
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "64:ff9b:1:7f00:0:100::",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001:0:7f00:1::",
        "2001:0:808:808:0:ffff:80ff:fffe",
        "2606:4700::5efe:7f00:1",
        "2606:4700::200:5efe:a00:1",
    ],
)
def test_a_private_address_in_a_tunnel_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["", "localhost", "127.1", "0x7f000001", "2130706433", "8.8.8.8:80", "2606:4700::1%eth0"]
)
def test_what_is_no_plain_address_is_refused(address: str) -> None:
    assert not is_public(address)


def test_our_own_addresses_are_refused_in_any_wrapping() -> None:
    own = networks(["8.8.8.0/24", "2606:4700::/32"])
    assert is_public("9.9.9.9", also_denied=own)
    for address in ("8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "2606:4700::1"):
        assert not is_public(address, also_denied=own), address


def test_a_misspelt_own_network_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not appear"):
        networks(["8.8.8.0/24x"])


@given(st.ip_addresses())
def test_a_mapped_address_is_judged_like_itself(address: object) -> None:
    text = str(address)
    if "." in text:
        assert is_public(f"::ffff:{text}") == is_public(text)


@pytest.mark.parametrize(
    ("given_name", "name", "registrable"),
    [
        ("northwind.com", "northwind.com", "northwind.com"),
        ("WWW.Northwind.co.UK", "www.northwind.co.uk", "northwind.co.uk"),
        ("https://northwind.com/about?x=1", "northwind.com", "northwind.com"),
        ("http://northwind.com:80/", "northwind.com", "northwind.com"),
        ("https://northwind.com:443", "northwind.com", "northwind.com"),
        ("bücher.de", "xn--bcher-kva.de", "xn--bcher-kva.de"),
        ("northwind。com", "northwind.com", "northwind.com"),
        ("ab--cd.com", "ab--cd.com", "ab--cd.com"),
        ("shop.github.io", "shop.github.io", "shop.github.io"),
        ("github.io", "github.io", "github.io"),
    ],
)
def test_a_company_host_is_normalised(given_name: str, name: str, registrable: str) -> None:
    assert vetted_host(given_name) == Host(name, registrable)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        *(
            (text, Refusal.IP_LITERAL)
            for text in ("127.0.0.1", "8.8.8.8", "2130706433", "017700000001", "127.1")
        ),
        *(
            (text, Refusal.IP_LITERAL)
            for text in ("0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "1.0x", "[::1]", "::1")
        ),
        *(
            (text, Refusal.IP_LITERAL)
            for text in ("1②7.0.0.1", "127。0。0。1", "[v1.x]", "https://[::ffff:7f00:1]/")
        ),
        ("http://2130706433/", Refusal.IP_LITERAL),
        ("http://a@northwind.com/", Refusal.USER_INFO),
        ("user:pw@northwind.com", Refusal.USER_INFO),
        ("https://northwind.com@127.0.0.1/", Refusal.USER_INFO),
        ("northwind.com.", Refusal.TRAILING_DOT),
        ("127.0.0.1.", Refusal.TRAILING_DOT),
        ("northwind.com..", Refusal.TRAILING_DOT),
        *(
            (text, Refusal.RESERVED)
            for text in ("localhost", "a.localhost", "printer.local", "vault.internal")
        ),
        *((text, Refusal.RESERVED) for text in ("1.0.0.10.in-addr.arpa", "home.arpa", "xyz.onion", "a.test")),
        *(
            (text, Refusal.UNKNOWN_SUFFIX)
            for text in ("northwind.nosuchtld", "com.nosuch", "co.uk", "northwind.example")
        ),
        *(
            (text, Refusal.NOT_A_NAME)
            for text in ("", "northwind", "com", "north_wind.com", "-a.com", "a-.com")
        ),
        *(
            (text, Refusal.NOT_A_NAME)
            for text in ("a..com", ".com", "north wind.com", "a%2e.com", "\u2603.com")
        ),
        *(
            (text, Refusal.NOT_A_NAME)
            for text in ("northwind.com/path", "northwind.com?x", "northwind.com#x")
        ),
        *(
            (text, Refusal.NOT_A_NAME)
            for text in ("a\\b.com", "https://a.com\\@127.0.0.1/", "a\n.com", "a\0.com")
        ),
        *((text, Refusal.NOT_A_NAME) for text in ("a" * 64 + ".com", "a." * 130 + "com", "xn--ß.com")),
        *(
            (text, Refusal.SCHEME)
            for text in ("ftp://northwind.com", "file:///etc/passwd", "gopher://a.com", "://a.com")
        ),
        *(
            (text, Refusal.PORT)
            for text in ("northwind.com:80", "http://a.com:8080", "http://a.com:443", "https://a.com:80")
        ),
        *((text, Refusal.PORT) for text in ("http://a.com:", "http://a.com:080", "http://a.com:٨٠")),
    ],
)
def test_a_host_that_is_no_company_site_is_refused(text: str, refusal: Refusal) -> None:
    assert vetted_host(text) == refusal


def test_the_reserved_tld_passes_only_through_the_sandbox_gate() -> None:
    assert vetted_host("northwind.example") == Refusal.UNKNOWN_SUFFIX
    assert vetted_host("northwind.example", sandbox=True) == Host(
        "northwind.example", "northwind.example", sandboxed=True
    )
    assert vetted_host("a.northwind.example", sandbox=True) == Host(
        "a.northwind.example", "northwind.example", sandboxed=True
    )


@pytest.mark.parametrize(
    "text", ["example", "example.com.nosuch", "a.example.", "localhost", "127.0.0.1", "a.local"]
)
def test_the_sandbox_gate_opens_for_nothing_else(text: str) -> None:
    assert isinstance(vetted_host(text, sandbox=True), Refusal)
    assert vetted_host("northwind.com", sandbox=True) == Host("northwind.com", "northwind.com")


@given(st.text(max_size=40))
def test_any_text_is_judged(text: str) -> None:
    host = vetted_host(text)
    if isinstance(host, Host):
        assert set(host.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
        assert not host.sandboxed
