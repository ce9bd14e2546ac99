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
    return is_allowed(origin, own=f"{'https' if secure else 'http'}://{host}", allowed=allowed)


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


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("https://xn--fsqu00a.xn--fiqs8s", True),
        ("https://www.xn--mgbh0fb.xn--kgbechtv", True),
        ("https://xn--mgbh0fb.xn--kgbechtv", False),
        ("https://xn--fsqu00a.example", False),
    ],
)
def test_a_site_may_name_pages_in_its_own_script(origin, expected):
    """Browsers send these names in ASCII: the pages were refused."""
    named = ("https://例子.中国", "https://*.مثال.إختبار", f"https://{'中' * 64}.example")
    assert allowed(origin, allowed=named) is expected


@pytest.mark.parametrize("origin", ["http://evil.example", "https://a.example:99", "http://localhost"])
def test_it_trusts_every_page_where_the_site_says_so(origin):
    assert allowed(origin, allowed=["*"])


@pytest.mark.parametrize("origin", ["null", "file://", "x", "http://a@b.example", "capacitor://localhost"])
def test_every_page_is_really_every_page(origin):
    assert allowed(origin, allowed=["*"])
    assert not allowed(origin, allowed=["https://app.example"])


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("capacitor://localhost", True),
        ("tauri://localhost", True),
        ("chrome-extension://abcdefgh", True),
        ("Capacitor://localhost", True),
        ("capacitor://localhost:80", False),
        ("ionic://localhost", False),
        ("http://localhost", False),
        ("capacitor://evil.example", False),
        ("capacitor:localhost", False),
    ],
)
def test_it_trusts_the_apps_that_the_site_names(origin, expected):
    named = ("capacitor://localhost", "tauri://localhost", "chrome-extension://abcdefgh")
    assert allowed(origin, allowed=named) is expected


def trusted(origin, *, host="testserver", scheme="ws", **headers):
    named = {"host": host, **headers}
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]
    return is_trusted({"scheme": scheme, "headers": raw, "server": ("127.0.0.1", 8000)}, origin)


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
        ("https://testserver", "https, http", True),
        ("https://testserver", "http, https", False),
        ("https://testserver", "wss", True),
        ("https://testserver", "wss, ws", True),
        ("http://testserver", "wss", False),
        ("http://testserver", "ws", True),
        ("https://testserver", "wssx", False),
        ("https://testserver", "", False),
    ],
)
def test_it_believes_the_proxy_about_tls(settings, origin, proto, expected):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert trusted(origin, x_forwarded_proto=proto) is expected
    settings.SECURE_PROXY_SSL_HEADER = None
    assert trusted(origin, x_forwarded_proto=proto) is (origin == "http://testserver")


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_it_believes_the_server_where_the_proxy_says_nothing(settings, scheme):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert trusted("https://testserver", scheme=scheme) is (scheme == "wss")


def test_another_word_for_tls_is_taken_as_it_is(settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_SSL", "on")
    assert trusted("https://testserver", x_ssl="on")
    assert not trusted("https://testserver", x_ssl="wss")
    assert not trusted("https://testserver", x_ssl="off", scheme="wss")


@pytest.mark.parametrize(
    ("use", "forwarded", "expected"),
    [
        (True, "example.com", True),
        (True, "evil.example", False),
        (True, "example.com:8443", False),
        (False, "example.com", False),
    ],
)
def test_it_believes_the_proxy_about_the_host_if_the_site_does(settings, use, forwarded, expected):
    settings.ALLOWED_HOSTS = ["example.com", "inner"]
    settings.USE_X_FORWARDED_HOST = use
    assert trusted("http://example.com", host="inner", x_forwarded_host=forwarded) is expected


def test_the_port_is_that_of_the_host_as_for_forms(settings):
    """Django does not add X-Forwarded-Port to a host that it was given."""
    settings.USE_X_FORWARDED_PORT = True
    assert not trusted("http://testserver:8443", x_forwarded_port="8443")
    assert trusted("http://testserver:8443", host="testserver:8443")


def test_a_name_with_an_underscore_is_not_the_proxys_header(settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    headers = [(b"host", b"testserver"), (b"x_forwarded_proto", b"https")]
    assert not is_trusted({"scheme": "ws", "headers": headers}, "https://testserver")


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
