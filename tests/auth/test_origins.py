"""Which pages may open a socket: scheme, host and port exactly, as the site's settings and its proxy say."""

import pytest

from realtime.auth.origins import is_allowed, is_trusted

OWN = [
    "http://testserver",
    "http://testserver:80",
    "HTTP://TestServer",
]
FOREIGN = [
    "https://testserver",
    "http://testserver:8000",
    "http://testserver:0",
    "http://testserver:443",
    "http://testserver:080x",
    "http://testserver:99999",
    "http://testserver:-80",
    "http://testserver:80:80",
    "http://www.testserver",
    "http://testserver.",
    "http://testserver.evil.example",
    "http://evil.example",
    "http://eviltestserver",
    "http://testserver@evil.example",
    "http://evil.example@testserver",
    "http://user:testserver@evil.example",
    "http://@testserver",
    "http://testserver:80@evil.example",
    "http://testserver\\@evil.example",
    "http://evil.example\\testserver",
    "http://testserver/",
    "http://testserver/path",
    "http://testserver?x",
    "http://testserver#x",
    "http://testserver, http://evil.example",
    "http://evil.example http://testserver",
    "//testserver",
    "testserver",
    "http:testserver",
    "http://",
    "ws://testserver",
    "file://",
    "file://testserver",
    "javascript:testserver",
    "chrome-extension://testserver",
    "http://[::1",
    "http://[testserver]",
    "http://tеstserver",  # the second letter is Cyrillic
    "null",
    "*",
    " ",
]


def allowed(origin, *, host="testserver", secure=False, allowed=()):
    return is_allowed(origin, secure=secure, host=host, allowed=allowed)


@pytest.mark.parametrize("origin", OWN)
def test_it_trusts_the_sites_own_pages(origin):
    assert allowed(origin)


@pytest.mark.parametrize("origin", FOREIGN)
def test_it_trusts_no_other_page(origin):
    assert not allowed(origin)


@pytest.mark.parametrize(
    ("origin", "host", "secure", "expected"),
    [
        ("https://testserver", "testserver", True, True),
        ("https://testserver:443", "testserver", True, True),
        ("https://testserver", "testserver:443", True, True),
        ("http://testserver", "testserver", True, False),
        ("https://testserver:80", "testserver", True, False),
        ("http://testserver:8000", "testserver:8000", False, True),
        ("http://testserver", "testserver:8000", False, False),
        ("http://testserver:8001", "testserver:8000", False, False),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", False, True),
        ("http://localhost:8000", "127.0.0.1:8000", False, False),
        ("http://testserver", "", False, False),
        ("http://", "", False, False),
        ("http://[::1]:8000", "[::1]:8000", False, True),
        ("http://[::1]", "[::1]:8000", False, False),
        ("http://[::2]:8000", "[::1]:8000", False, False),
    ],
)
def test_it_compares_with_the_address_that_was_asked(origin, host, secure, expected):
    assert allowed(origin, host=host, secure=secure) is expected


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("https://www.example.com", True),
        ("https://a.b.example.com", True),
        ("https://www.example.com:443", True),
        ("https://example.com", False),
        ("http://www.example.com", False),
        ("https://www.example.com:8443", False),
        ("https://www.example.com.evil.example", False),
        ("https://evilexample.com", False),
        ("https://shop.example:8443", True),
        ("https://shop.example", False),
        ("https://app.example", True),
        ("https://x.app.example", False),
        ("null", False),
    ],
)
def test_it_trusts_the_pages_that_the_site_names(origin, expected):
    named = ("https://*.example.com", "https://shop.example:8443", "https://app.example")
    assert allowed(origin, allowed=named) is expected


@pytest.mark.parametrize("origin", ["http://evil.example", "https://a.example:99", "http://localhost"])
def test_it_trusts_every_page_where_the_site_says_so(origin):
    assert allowed(origin, allowed=["*"])


@pytest.mark.parametrize("origin", ["null", "file://", "x", "http://a@b.example"])
def test_it_never_trusts_what_is_no_origin(origin):
    assert not allowed(origin, allowed=["*"])


def trusted(origin, *, host="testserver", scheme="ws", **headers):
    raw = {b"host": host.encode()} | {name.replace("_", "-").encode(): v.encode() for name, v in headers.items()}
    return is_trusted({"scheme": scheme}, raw, origin)


@pytest.mark.parametrize(
    ("origin", "host", "expected"),
    [
        ("http://testserver", "testserver", True),
        ("http://testserver", "", False),
        ("http://", "", False),
        ("http://evil.example", "evil.example", False),
        ("http://testserver", "testserver@evil.example", False),
        ("http://evil.example", "testserver@evil.example", False),
    ],
)
def test_it_believes_only_hosts_that_the_site_allows(origin, host, expected):
    assert trusted(origin, host=host) is expected


@pytest.mark.parametrize("origin", ["http://testserver", "https://testserver"])
def test_it_knows_tls_by_the_scheme(origin):
    assert trusted(origin, scheme="wss") is origin.startswith("https")
    assert trusted(origin, scheme="ws") is not origin.startswith("https")


def test_it_knows_ipv6(settings):
    settings.ALLOWED_HOSTS = ["[::1]"]
    assert trusted("http://[::1]:8000", host="[::1]:8000")
    assert not trusted("http://[::2]:8000", host="[::1]:8000")


@pytest.mark.parametrize(
    ("origin", "proto", "expected"),
    [
        ("https://testserver", "https", True),
        ("http://testserver", "https", False),
        ("http://testserver", "http", True),
        ("https://testserver", "http", False),
        ("https://testserver", "https, http", False),
        ("https://testserver", "", False),
    ],
)
def test_it_believes_the_proxy_about_tls(settings, origin, proto, expected):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert trusted(origin, x_forwarded_proto=proto) is expected
    settings.SECURE_PROXY_SSL_HEADER = None
    assert trusted(origin, x_forwarded_proto=proto) is (origin == "http://testserver")


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("https://www.example.com", True),
        ("https://shop.example:8443", True),
        ("https://app.example", True),
        ("https://evil.example", False),
    ],
)
def test_it_reads_the_pages_that_the_settings_name(settings, origin, expected):
    """Django's setting for forms counts as well as our own."""
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.example.com", "https://shop.example:8443"]
    settings.REALTIME = {**settings.REALTIME, "ALLOWED_ORIGINS": ["https://app.example"]}
    assert trusted(origin) is expected
