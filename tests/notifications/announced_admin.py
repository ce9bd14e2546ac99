"""The admin of announcements as tests use it: its addresses, its forms as browsers send them, and who is logged in."""

import re
from datetime import timedelta
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from notifications.models import Announcement

LATER = timezone.now() + timedelta(days=1)


def address(step: str, row: Announcement | None = None) -> str:
    return reverse(f"admin:notifications_announcement_{step}", args=[row.pk] if row else [])


def staff(*rights: str) -> Client:
    """Somebody of the staff with these rights on announcements."""
    user = get_user_model().objects.create_user(f"staff-{'-'.join(rights)}", is_staff=True)
    codes = [f"{right}_announcement" for right in rights]
    user.user_permissions.add(*Permission.objects.filter(codename__in=codes))
    client = Client()
    client.force_login(user)
    return client


def form(english: str = "News", chinese: str = "", **changed: Any) -> dict[str, Any]:
    """The form of a new announcement as a browser sends it."""
    fields = {"level": "info", "link": "", "closing": "dismiss", "audience": "everyone", "form_key": "key-1"}
    moments = {f"{name}_{part}": "" for name in ("starts_at", "ends_at") for part in (0, 1)}
    texts = {
        "texts-TOTAL_FORMS": "2",
        "texts-INITIAL_FORMS": "0",
        "texts-0-language": "en",
        "texts-0-title": english,
        "texts-0-message": "",
        "texts-1-language": "zh-hans",
        "texts-1-title": chinese,
        "texts-1-message": "",
    }
    return {**fields, **moments, **texts, **changed}


def stored(row: Announcement, **changed: Any) -> dict[str, Any]:
    """The form of a stored announcement with an English text."""
    text = row.texts.get()
    ours = {
        "level": row.level,
        "closing": row.closing,
        "audience": row.audience,
        "texts-INITIAL_FORMS": "1",
        "texts-0-id": str(text.pk),
        "texts-0-announcement": str(row.pk),
    }
    return {**form(text.title), **ours, **changed}


def hidden_of(*forms: Any) -> dict[str, Any]:
    """What these forms of a page send besides what staff see of them."""
    return {field.html_name: str(field.value()) for form in forms for field in form.hidden_fields()}


def split(name: str, moment: Any) -> dict[str, str]:
    local = timezone.localtime(moment)
    return {f"{name}_0": local.strftime("%Y-%m-%d"), f"{name}_1": local.strftime("%H:%M:%S")}


def errors(answer: Any) -> set[str]:
    assert answer.status_code == 200
    return set(answer.context["adminform"].form.errors)


def logged() -> list[str]:
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


def messages_of(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def state_of(row: Announcement) -> str:
    row.refresh_from_db()
    return row.state


def log_in_root() -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root"))
    return client


def assert_no_own_code(page: str) -> None:
    """The page works under a strict Content-Security-Policy: neither scripts nor styles stand in it."""
    ours = page[page.index('<div id="main"') :] if '<div id="main"' in page else page
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>(?!\s*</script>)", ours)
    assert not re.search(r"\son[a-z]+=", ours)
    assert not re.search(r"\sstyle=", ours)
