"""What the forms of the admin share. Used by `sending` and `announcements`, and by their forms."""

import re
import secrets
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest

KEY_NAME = "form_key"  # of the hidden field, and in the address of the form
KEY = re.compile(r"[\w-]{32}", re.ASCII)


def new_key() -> str:
    """For a hidden field: when a form is sent twice, the second one has the key of the first."""
    return secrets.token_urlsafe(24)


def key_in_address(request: HttpRequest) -> str:
    """The key of the form that was on this page before. Empty on the first visit, and if the form was sent."""
    key = request.GET.get(KEY_NAME, "")
    return key if request.method != "POST" and KEY.fullmatch(key) else ""


class KeyInput(forms.HiddenInput):
    """Its script writes the key into the address, where the browser finds it on the way back to the form."""

    class Media:
        js = ("notifications/form_key.js",)


class KeysField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # generic in the stubs only
    """Refuses numbers of more than 64 bits, which SQLite does not take. Django does so for single keys only."""

    def clean(self, value: Any) -> Any:
        try:
            return super().clean(value)
        except OverflowError:
            raise ValidationError(self.error_messages["invalid_pk_value"], "invalid_pk_value", {"pk": "…"}) from None
