"""The tag `{% realtime_client %}`, which loads the browser library. Templates of sites `{% load realtime %}`."""

import json
from typing import Any

from django import template
from django.forms.utils import flatatt
from django.templatetags.static import static
from django.urls import NoReverseMatch, get_script_prefix
from django.utils.html import format_html
from django.utils.safestring import SafeString

from realtime import conf
from realtime.auth.user_ids import wire_id
from realtime.delivery.addresses import find_path

register = template.Library()


@register.simple_tag(takes_context=True)
def realtime_client(context: template.Context) -> SafeString:
    """A script that makes `window.realtime`, the client of this page.

    It connects with the visitor's session. For visitors who are not logged in it is there, too, but stays closed.
    Everything it has to know is in attributes, because a Content-Security-Policy may forbid scripts inside pages.
    """
    attributes: dict[str, Any] = {
        "src": static("realtime/realtime.classic.js"),
        "defer": True,
        "data-realtime": True,
        "data-url": f"{get_script_prefix()}api/v1/ws",
        "data-api": _find_api(),
        "data-worker": static("realtime/realtime.worker.js"),
        "nonce": context.get("csp_nonce"),
        **_describe_visitor(context),
    }
    return format_html("<script{}></script>", flatatt(attributes))


def _find_api() -> str | None:
    """Where the site has included `realtime.urls`; None if it has not."""
    try:
        return find_path("realtime:rooms").removesuffix("/rooms")
    except NoReverseMatch:
        return None


def _describe_visitor(context: template.Context) -> dict[str, str | None]:
    request = getattr(context, "request", None) or context.get("request")
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    return {
        # As JSON, because `1` and `"1"` are different users.
        "data-user": json.dumps(wire_id(user.pk)),
        "data-csrf": str(context.get("csrf_token", "")) or None,
        "data-cookie": conf.csrf_cookie_name(),
    }
