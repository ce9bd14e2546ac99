"""The demo's page, and its doors: one click signs a window in as a person, another one opens the admin."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST
from rest_framework_simplejwt.tokens import RefreshToken

from project.demo.languages import note_language
from project.demo.people import VISITORS, display_name, find_active, list_people
from project.security import strict_policy

View = Callable[..., HttpResponse]
ADMIN = "admin"


def demo_only(view: View) -> View:
    """Outside the demo, the address does not exist."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.DEMO:
            raise Http404
        return view(request, *args, **kwargs)

    return wrapped


@strict_policy
@ensure_csrf_cookie
@cache_control(private=True, no_cache=True)
def space(request: HttpRequest) -> HttpResponse:
    """The page of the demo. It is the same for everybody: who somebody is, only their window knows.

    `no-store` would keep it out of the browser's back-forward cache.
    """
    people = list_people()
    active = find_active(VISITORS)
    visitors = [person for person in people if person["username"] in active]
    return render(request, "project/space.html", {"people": people, "visitors": visitors})


@demo_only
@never_cache
@require_POST
def sign_in(request: HttpRequest) -> HttpResponse:
    """Tokens for one of the demo's people. The page keeps them in the window: another window is another person."""
    wanted = request.POST.get("username", "")
    user = None
    if wanted in {person.username for person in VISITORS}:
        user = get_user_model().objects.filter(username=wanted, is_active=True).first()
    if user is None:
        return JsonResponse({"detail": _("There is no such person. Has `load_demo` been run?")}, status=404)
    note_language(user)
    refresh = RefreshToken.for_user(user)
    login = {"access": str(refresh.access_token), "refresh": str(refresh)}
    return JsonResponse({**login, "user_id": user.pk, "username": user.username, "name": display_name(user)})


@demo_only
@never_cache
@require_POST
def open_admin(request: HttpRequest) -> HttpResponse:
    """Log the browser in as the admin, with a session. The demo's windows keep their tokens, and stay who they are."""
    user: Any = get_user_model().objects.filter(username=ADMIN, is_active=True, is_staff=True).first()
    if user is None:
        raise Http404
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return redirect("admin:index")
