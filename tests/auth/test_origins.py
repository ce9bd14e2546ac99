"""Which pages may open a socket: scheme, host and port, exactly."""

import pytest

from realtime.auth.origins import is_trusted

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


def trusted(origin, *, host="testserver", scheme="ws", **headers):
    raw = {b"host": host.encode()} | {name.replace("_", "-").encode(): v.encode() for name, v in headers.items()}
    return is_trusted({"scheme": scheme}, raw, origin)


@pytest.mark.parametrize("origin", OWN)
def test_it_trusts_the_sites_own_pages(origin):
    assert trusted(origin)


@pytest.mark.parametrize("origin", FOREIGN)
def test_it_trusts_no_other_page(origin):
    assert not trusted(origin)


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "expected"),
    [
        ("https://testserver", "testserver", "wss", True),
        ("https://testserver:443", "testserver", "wss", True),
        ("https://testserver", "testserver:443", "wss", True),
        ("http://testserver", "testserver", "wss", False),
        ("https://testserver:80", "testserver", "wss", False),
        ("http://testserver:8000", "testserver:8000", "ws", True),
        ("http://testserver", "testserver:8000", "ws", False),
        ("http://testserver:8001", "testserver:8000", "ws", False),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "ws", True),
        ("http://localhost:8000", "127.0.0.1:8000", "ws", False),
        ("http://testserver", "", "ws", False),
        ("http://", "", "ws", False),
        ("http://evil.example", "evil.example", "ws", False),
        ("http://testserver", "testserver@evil.example", "ws", False),
        ("http://evil.example", "testserver@evil.example", "ws", False),
    ],
)
def test_it_compares_with_the_address_that_was_asked(origin, host, scheme, expected):
    assert trusted(origin, host=host, scheme=scheme) is expected


def test_it_knows_ipv6(settings):
    settings.ALLOWED_HOSTS = ["[::1]"]
    assert trusted("http://[::1]:8000", host="[::1]:8000")
    assert not trusted("http://[::1]", host="[::1]:8000")
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
def test_it_trusts_the_pages_that_the_site_names(settings, origin, expected):
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.example.com", "https://shop.example:8443"]
    settings.REALTIME = {**settings.REALTIME, "ALLOWED_ORIGINS": ["https://app.example"]}
    assert trusted(origin) is expected


@pytest.mark.parametrize("origin", ["http://evil.example", "https://a.example:99", "http://localhost"])
def test_it_trusts_every_page_where_the_site_says_so(settings, origin):
    settings.REALTIME = {**settings.REALTIME, "ALLOWED_ORIGINS": ["*"]}
    assert trusted(origin)


@pytest.mark.parametrize("origin", ["null", "file://", "x", "http://a@b.example"])
def test_it_never_trusts_what_is_no_origin(settings, origin):
    settings.REALTIME = {**settings.REALTIME, "ALLOWED_ORIGINS": ["*"]}
    assert not trusted(origin)
