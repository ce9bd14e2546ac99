"""The admin of notifications as tests use it: its addresses, who is logged in, and the form that sends."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse


def address(step: str, row: Any = None, model: str = "notification") -> str:
    return reverse(f"admin:notifications_{model}_{step}", args=[row.pk] if row else [])


def staff(*rights: str) -> Client:
    """Somebody of the staff with these permissions, such as `send_notification`."""
    user = get_user_model().objects.create_user(f"staff-{len(rights)}-{'-'.join(rights)}"[:150], is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=rights))
    client = Client()
    client.force_login(user)
    return client


def form(*people: Any, **changed: Any) -> dict[str, Any]:
    """The form of a greeting, the type of the fixture, with the button that sends it."""
    fields = {"type": "greeting", "audience": "people", "people": [person.pk for person in people], "names": ""}
    own = {"param_name": "Ada", "param_count": "3", "link": "", "data": "{}", "title": "", "message": ""}
    return {**fields, **own, "form_key": "key-1", "_send": "1", **changed}


def send(client: Client, *people: Any, **changed: Any) -> Any:
    return client.post(address("add"), form(*people, **changed), follow=True)


def errors(answer: Any) -> set[str]:
    return set(answer.context["form"].errors)
