"""The addresses of histories, wherever a site has put the API."""

import sys
from types import ModuleType

import pytest
from channels.routing import URLRouter
from django.conf.urls.i18n import i18n_patterns
from django.template import Context, Template
from django.test import override_settings
from django.urls import include, path, re_path, set_script_prefix
from django.utils.translation import override

from notifications.checks import check_mail
from notifications.mailing.addresses import of_notification, of_unsubscribing
from project.asgi import application
from realtime.delivery import addresses
from realtime.delivery.addresses import where_to_fetch
from realtime.routing import asgi_application
from realtime.server.scope_keys import EXTENSION


@pytest.fixture(autouse=True)
def at_the_root():
    yield
    addresses.mount("")
    set_script_prefix("/")


@pytest.fixture
def included_at(monkeypatch, settings):
    """Includes the API under a prefix; None leaves it out."""

    def include_at(prefix):
        urls = ModuleType("urls_of_a_site")
        urls.urlpatterns = [] if prefix is None else [path(prefix, include("realtime.urls"))]
        monkeypatch.setitem(sys.modules, "urls_of_a_site", urls)
        settings.ROOT_URLCONF = "urls_of_a_site"

    return include_at


@pytest.mark.parametrize(("prefix", "expected"), [("", "/api/v1/"), ("rt/", "/rt/api/v1/"), ("a/b/", "/a/b/api/v1/")])
def test_it_follows_the_sites_urls(included_at, prefix, expected):
    included_at(prefix)
    assert where_to_fetch("room.general", 7) == f"{expected}rooms/general/messages?after=7"
    assert where_to_fetch("user.1", None) == f"{expected}messages"
    assert where_to_fetch("site", 7) is None


@pytest.fixture
def included_in_a_namespace(monkeypatch, settings):
    """As the versions of REST framework want it (`NamespaceVersioning`). Another app has a namespace of our name."""
    inner, other, urls = (ModuleType(f"{name}_urls_of_a_site") for name in ("api", "other", "all"))
    inner.urlpatterns = [path("", include("realtime.urls")), path("", include("notifications.urls"))]
    other.app_name, other.urlpatterns = "notifications", [path("all", refuse, name="all")]
    urls.urlpatterns = [
        path("inbox/", include(other)),
        path("backend/", include(([path("v1/", include((inner, "v1"), namespace="v1"))], "backend"))),
    ]
    monkeypatch.setitem(sys.modules, "urls_of_a_site", urls)
    settings.ROOT_URLCONF = "urls_of_a_site"


def test_it_follows_them_into_a_namespace(included_in_a_namespace, settings):
    """There was no `fetch`, no address on the page and none in mails, and a check said that nothing was included."""
    assert where_to_fetch("room.general", 3) == "/backend/v1/api/v1/rooms/general/messages?after=3"
    page = Template("{% load realtime %}{% realtime_client %}").render(Context())
    assert 'data-api="/backend/v1/api/v1"' in page
    settings.NOTIFICATIONS = {"MAIL": True, "SITE_URL": "https://example.com"}
    assert of_notification(7, "") == "https://example.com/backend/v1/api/v1/notifications/7/open"
    assert "notifications.E007" not in {found.id for found in check_mail()}


@pytest.mark.parametrize(("prefixed", "expected"), [(True, "/en/api/v1/"), (False, "/api/v1/")])
def test_it_is_in_a_language_that_the_site_has(monkeypatch, settings, prefixed, expected):
    """`en-us`, with which a project starts, is none of its languages, so that `i18n_patterns` find no such address."""
    urls = ModuleType(f"urls_with_languages_{prefixed}")  # Django remembers by the name whether there are any
    ours = path("", include("realtime.urls")), path("", include("notifications.urls"))
    urls.urlpatterns = i18n_patterns(*ours, prefix_default_language=prefixed)
    monkeypatch.setitem(sys.modules, urls.__name__, urls)
    settings.ROOT_URLCONF = urls.__name__
    settings.LANGUAGE_CODE, settings.LANGUAGES = "en-us", [("en", "English"), ("zh-hans", "简体中文")]
    settings.NOTIFICATIONS = {"SITE_URL": "https://example.com"}
    for language in ("en-us", None):
        with override(language):
            assert where_to_fetch("user.1", None) == f"{expected}messages"
            assert of_unsubscribing("x") == f"https://example.com{expected}notifications/unsubscribe/x"
    with override("zh-hans"):
        assert where_to_fetch("user.1", None) == "/zh-hans/api/v1/messages"


def test_it_has_none_where_the_site_leaves_the_api_out(included_at):
    included_at(None)
    assert where_to_fetch("room.general", 7) is None


@pytest.mark.parametrize("mount", ["/app", "/app/"])
@pytest.mark.parametrize("prefix_of_a_request", ["/", "/app/", "/other/"])
def test_it_follows_the_mount_and_not_the_request_that_is_handled(mount, prefix_of_a_request):
    addresses.mount(mount)
    set_script_prefix(prefix_of_a_request)
    assert where_to_fetch("user.1", 7) == "/app/api/v1/messages?after=7"


async def refuse(message=None):
    raise AssertionError("There is such a socket.")


@pytest.mark.parametrize(
    ("forced", "root_path", "path"),
    [
        ("/app", "", "/app/api/v1/ws"),
        ("/app/", "", "/app/api/v1/ws"),
        ("/app", "", "/api/v1/ws"),
        (None, "/app", "/app/api/v1/ws"),
        (None, "/app", "/api/v1/ws"),
        ("/forced", "/app", "/app/api/v1/ws"),
    ],
)
async def test_sockets_are_below_the_mount_whether_the_path_has_it_or_not(forced, root_path, path):
    """As requests are, for Django: under FORCE_SCRIPT_NAME, the addresses that pages have led to no socket."""
    found = []

    async def note(scope, receive, send):
        found.append(scope["path_remaining"])

    own = asgi_application(http=None, websocket=URLRouter([re_path("^api/v1/ws$", note)]))
    scope = {"type": "websocket", "path": path, "root_path": root_path, "headers": [], "extensions": {EXTENSION: {}}}
    with override_settings(FORCE_SCRIPT_NAME=forced):
        await own(scope, refuse, refuse)
    assert found == [""]


@pytest.mark.parametrize(
    ("forced", "root_path", "expected"),
    [(None, "", "/"), (None, "/app", "/app/"), ("/forced", "/app", "/forced/")],
)
async def test_the_routing_notes_the_mount(forced, root_path, expected):
    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        pass

    scope = {"type": "websocket", "path": f"{root_path}/nowhere", "root_path": root_path, "headers": []}
    with override_settings(FORCE_SCRIPT_NAME=forced):
        await application(scope, receive, send)
    assert where_to_fetch("user.1", 7) == f"{expected}api/v1/messages?after=7"
