"""The page that describes the sockets. A site adds it to its urls, beside the page about the REST API.

It needs no script, nothing inline and nothing from elsewhere, so it works under a strict Content-Security-Policy.
"""

from functools import lru_cache
from typing import Any

from django.urls import get_script_prefix
from django.utils.translation import get_language
from rest_framework.renderers import JSONRenderer, TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from realtime.api.base import RealtimeView
from realtime.asyncapi.document import make_document
from realtime.asyncapi.page import Page


@lru_cache(maxsize=16)
def describe(language: str | None) -> Page:
    """The page for one language. Nothing of it changes while the server runs."""
    return Page(make_document())


class SocketDocsView(RealtimeView):
    """Answers browsers with the page, and programs (or `?format=json`) with the AsyncAPI document.

    For users who are logged in, unless the site decides otherwise: `as_view(permission_classes=[…])`.
    """

    renderer_classes = (TemplateHTMLRenderer, JSONRenderer)
    schema = None  # it is no part of the REST API

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = describe(get_language())
        if request.accepted_renderer.format == "json":
            return Response(page.document)
        scheme = "wss" if request.is_secure() else "ws"
        data = {"page": page, "site": f"{scheme}://{request.get_host()}{get_script_prefix().rstrip('/')}"}
        return Response(data, template_name="realtime/socket_docs.html")
