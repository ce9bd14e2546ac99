"""What the handshake asks about a page: the site's hosts, its proxy and the origins that its settings name."""

import pytest

from realtime.sockets.handshake import is_trusted


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
def test_it_trusts_the_pages_that_the_site_names(settings, origin, expected):
    """Django's setting for forms counts as well as our own."""
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.example.com", "https://shop.example:8443"]
    settings.REALTIME = {**settings.REALTIME, "ALLOWED_ORIGINS": ["https://app.example"]}
    assert trusted(origin) is expected
