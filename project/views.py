"""Pages of the site itself: the start page, the API's documentation, and JSON for unknown addresses and errors."""

import json
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import get_language, override
from django.views import defaults
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from project.demo.views import space
from project.security import strict_policy
from realtime.api.base import RealtimeView
from realtime.api.socket_docs import SocketDocsView
from realtime.delivery.refusal_texts import say
from realtime.protocol.errors import Reason


@require_safe
def start(request: HttpRequest) -> HttpResponse:
    """The demo, or in a deployment a page that says where to go."""
    return space(request) if settings.DEMO else landing(request)


@strict_policy
def landing(request: HttpRequest) -> HttpResponse:
    return render(request, "project/landing.html")


@lru_cache
def render_schema(language: str, renderer: type[BaseRenderer]) -> bytes | str:
    """The OpenAPI document. Nothing of it changes while the server runs."""
    with override(language):
        document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    rendered: bytes | str = renderer().render(document, renderer.media_type, {})
    return rendered


class SchemaView(SpectacularAPIView):
    """The OpenAPI document, made once for each of the site's languages: it is expensive, and anybody may ask.

    Django keeps what it has loaded for a language for ever, so that of the address must be one of the site's.
    """

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        wanted = request.GET.get("lang")
        language = wanted if wanted in dict(settings.LANGUAGES) else get_language() or settings.LANGUAGE_CODE
        renderer = request.accepted_renderer
        maker: Any = type(renderer)
        kind = renderer.media_type if renderer.charset is None else f"{renderer.media_type}; charset={renderer.charset}"
        name = self._get_filename(request, None)  # type: ignore[no-untyped-call]
        headers = {"Content-Disposition": f'inline; filename="{name}"'}
        return HttpResponse(render_schema(language, maker), content_type=kind, headers=headers)


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI. Its settings come as a script of their own, so that nothing in the page is inline."""

    template_name = "project/docs.html"

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        # By default Swagger UI sends the address of the schema to a validator on the web.
        if "settings" in response.data:
            response.data["settings"] = json.dumps({"deepLinking": True, "validatorUrl": None})
        return response


# Whoever may read about the REST API may read about the sockets.
SOCKET_DOCS = SocketDocsView.as_view(
    permission_classes=DocsView.permission_classes, authentication_classes=DocsView.authentication_classes
)


@extend_schema(exclude=True)
class UnknownView(RealtimeView):
    """Answers unknown addresses under `/api` with the API's own 404."""

    permission_classes = (AllowAny,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise Http404


def server_error(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/api/"):
        return JsonResponse({"detail": say(Reason.OUR_FAULT), "code": "MESSAGE_PROCESSING_ERROR"}, status=500)
    return defaults.server_error(request)
