import pytest

from resources.web.robots import read_robots


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ("", "/", True),
        ("User-agent: *\nDisallow:", "/", True),
        ("User-agent: *\nDisallow: /", "/", False),
        ("User-agent: *\nDisallow: /*", "/", False),
        ("User-agent: *\nDisallow: /\nAllow: /$", "/", True),
        ("User-agent: *\nDisallow: /\nAllow: /$", "/about", False),
        ("User-agent: *\nDisallow: /private", "/", True),
        ("User-agent: *\nAllow: /a\nDisallow: /a", "/a", True),
        ("User-agent: *\nDisallow: /*.php$", "/x/index.php", False),
        ("User-agent: *\nDisallow: /*.php$", "/index.php?x", True),
        ("User-agent: *\nDisallow: /a*b*c", "/a-b", True),
        ("User-agent: other\nDisallow: /", "/", True),
        ("User-agent: other\nUser-agent: *\nDisallow: /", "/", False),
        ("User-agent: *\nDisallow: /\n\nUser-agent: ours\nDisallow: /x", "/", True),
        ("User-agent: Ours/2.0\nDisallow: /", "/", False),
        ("\ufeffuser-AGENT : * # all\r\ndisallow : / # go away", "/", False),
        ("Disallow: /", "/", True),
        ("<html>User-agent: nobody</html>", "/", True),
        ("User-agent: *\nDisallow: /ü", "/%C3%BC", False),
    ],
)
def test_the_rules_are_those_of_rfc_9309(*, text: str, path: str, allowed: bool) -> None:
    assert read_robots(text, "ours").allow(path) is allowed
