"""Unsubscribing by the link of a mail, without logging in: the token, and the page. Routed by `notifications.urls`.

Scanners of mails follow links, so GET shows a form and changes nothing. Mail programs send a POST (RFC 8058), without
cookies and without a CSRF token: what it may do is in the signature of the token.
"""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.crypto import salted_hmac
from django.utils.decorators import method_decorator
from django.utils.translation import override
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from notifications import conf
from notifications.languages import language_of
from notifications.mailing import addresses
from notifications.mailing.recipients import load_users
from notifications.models import Preference, Reader
from notifications.texts import label_of
from notifications.types import NotificationType, find_type
from realtime.integration import own_transaction, read_user, retry_conflicts, user_keys_come_back, wire_id

SALT = "notifications.unsubscribe"
TEMPLATE = "notifications/unsubscribe.html"
# What the button against a mistake says: all mails again, those of the type, or those of a type that was switched on.
RESUMING = ("resume", "resume_type", "restore_type")
# What a reader had chosen, as the form says it.
SHOWN: Mapping[bool | None, str] = {True: "on", False: "off", None: "none"}


def make_token(user: Any, type_key: str = "") -> str:
    """For the links of a mail. `type_key` is the type of its notifications, if they have one in common.

    It does not expire: who finds an old mail can still unsubscribe.
    """
    return signing.Signer(salt=SALT).sign_object([wire_id(user.pk), type_key, *_joined(user)])


def _joined(user: Any) -> list[str]:
    """What tells a user from a later one with the same key, on a site on which there may be one."""
    joined = getattr(user, conf.settings().joined_field or " ", None) if user_keys_come_back() else None
    # The algorithm is that of links in mails of before.
    return [] if joined is None else [salted_hmac(SALT, str(joined), algorithm="sha1").hexdigest()[:16]]


def read_token(token: str) -> tuple[Any, str] | None:
    """The user and the type; None for a token that is not ours, or whose user is deleted or disabled."""
    try:
        reader, type_key, *joined = signing.Signer(salt=SALT).unsign_object(token)
        key = read_user(reader)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    user = load_users([key]).get(key)
    return None if user is None or joined != _joined(user) else (user, str(type_key))


@retry_conflicts
def stop_mails(reader: Any) -> bool:
    """Switch off all mails. Returns whether they were on before."""
    with own_transaction():
        _row, is_new = Reader.objects.get_or_create(user_id=reader, defaults={"mail": False})
        return is_new or bool(Reader.objects.filter(user_id=reader, mail=True).update(mail=False))


@retry_conflicts
def stop_type(reader: Any, type_key: str) -> bool | None:
    """Switch off the mails of a type. Returns what the reader had chosen before; None for nothing."""
    choice = _choice(reader, type_key)
    with own_transaction():
        _row, is_new = Preference.objects.get_or_create(**choice, defaults={"enabled": False})
        return None if is_new else bool(Preference.objects.filter(**choice, enabled=True).update(enabled=False))


@retry_conflicts
def resume(reader: Any, type_key: str, what: str) -> None:
    """Take back what the page has done, as it has named it in its button, and leave other choices as they are."""
    with own_transaction():
        if what == "resume":
            Reader.objects.filter(user_id=reader).update(mail=True)
        elif what == "resume_type":
            Preference.objects.filter(**_choice(reader, type_key)).delete()
        else:
            Preference.objects.filter(**_choice(reader, type_key)).update(enabled=True)


def _show_before(reader: Any, type_key: str) -> dict[str, str]:
    """What the form that asks repeats: what holds before its button is pressed, once or twice."""
    all_mails = Reader.objects.filter(user_id=reader).values_list("mail", flat=True).first()
    of_type = Preference.objects.filter(**_choice(reader, type_key)).values_list("enabled", flat=True).first()
    return {"all_before": SHOWN[all_mails is not False], "type_before": SHOWN[of_type]}


def _find_resuming(action: str, was_on: bool | None, before: str | None) -> str:
    """What takes this back; nothing if these mails were off before, also when the form was opened.

    `before` is what held then, as the form has said it; None for a form that does not say it.
    """
    if was_on is False and before == SHOWN[False]:
        return ""
    if action == "all":
        return "resume"
    return "restore_type" if was_on or (was_on is False and before == SHOWN[True]) else "resume_type"


def _choice(reader: Any, type_key: str) -> dict[str, Any]:
    return {"user_id": reader, "scope": Preference.Scope.TYPE, "key": type_key, "channel": "mail"}


@method_decorator([login_not_required, csrf_exempt, never_cache], name="dispatch")
class UnsubscribeView(View):
    """The page behind the link of a mail."""

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        return self._answer(request, token, "ask")

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        """Without a known `action`, which is what mail programs send, all mails stop."""
        action = request.POST.get("action", "")
        return self._answer(request, token, action if action in ("type", *RESUMING) else "all")

    def _answer(self, request: HttpRequest, token: str, action: str) -> HttpResponse:
        found = read_token(token)
        if found is None:
            return render(request, TEMPLATE, {"done": "unknown", **_page(None)}, status=404)
        user, type_key = found
        reader = user.pk
        page = {"done": action, "resume": "resume"}
        if action in RESUMING:
            resume(reader, type_key, action)
            page["done"] = "resume"
        elif action == "ask":
            page |= _show_before(reader, type_key)
        elif action == "all" or type_key:
            was_on = stop_mails(reader) if action == "all" else stop_type(reader, type_key)
            page["resume"] = _find_resuming(action, was_on, request.POST.get(f"{action}_before"))
        with override(language_of(user)):
            return render(request, TEMPLATE, page | _page(find_type(type_key)))


def _page(kind: NotificationType | None) -> dict[str, Any]:
    label = label_of(kind) if kind else ""
    return {"kind": label, "site_name": addresses.site_name(), "site_url": addresses.of_site("/")}
