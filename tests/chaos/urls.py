"""The site's addresses, and two more: site code that notifies people, in a transaction of the site, and withdraws."""

import json

from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from notifications import notify, withdraw
from project.urls import handler500

__all__ = ["handler500", "urlpatterns"]


class TakenBackError(Exception):
    """The site has changed its mind."""


@csrf_exempt
def notify_readers(request: HttpRequest) -> HttpResponse:
    """204 if it is committed, 409 if it was rolled back, 503 if nobody knows."""
    given = json.loads(request.body)
    try:
        with transaction.atomic():
            notify(
                given["readers"],
                "mention",
                actor=given["actor"],
                message=given["key"],
                dedupe_key=given["key"] if given["has_dedupe_key"] else "",
                group_key=given["group"],
            )
            if given["is_taken_back"]:
                raise TakenBackError
    except TakenBackError:
        return HttpResponse(status=409)
    except (OperationalError, InterfaceError):
        return HttpResponse(status=503)
    return HttpResponse(status=204)


@csrf_exempt
def withdraw_key(request: HttpRequest) -> HttpResponse:
    """204 if it is gone, 503 if nobody knows."""
    try:
        withdraw(dedupe_key=json.loads(request.body)["key"])
    except (OperationalError, InterfaceError):
        return HttpResponse(status=503)
    return HttpResponse(status=204)


urlpatterns = [
    path("chaos/notify", notify_readers),
    path("chaos/withdraw", withdraw_key),
    path("", include("project.urls")),
]
