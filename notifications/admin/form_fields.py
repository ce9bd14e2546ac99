"""What the forms of the admin share. Used by `sending` and `announcements`, and by their forms."""

import re
import secrets
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponseRedirect

KEY_NAME = "form_key"  # of the hidden field, and in the address of the form
KEY = re.compile(r"[\w-]{32}", re.ASCII)


def new_key() -> str:
    """For a hidden field: when a form is sent twice, the second one has the key of the first."""
    return secrets.token_urlsafe(24)


def lead_to_key(request: HttpRequest) -> HttpResponseRedirect | None:
    """To the address of this form that has a key in it; None from there, and if the form was sent.

    Browsers load a form again on the way back to it. A new key would let it be sent once more.
    """
    if request.method == "POST" or KEY.fullmatch(request.GET.get(KEY_NAME, "")):
        return None
    query = request.GET.copy()
    query[KEY_NAME] = new_key()
    return HttpResponseRedirect(f"{request.path}?{query.urlencode()}")


class KeysField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # generic in the stubs only
    """Refuses numbers of more than 64 bits, which SQLite does not take. Django does so for single keys only."""

    def clean(self, value: Any) -> Any:
        try:
            return super().clean(value)
        except OverflowError:
            raise ValidationError(self.error_messages["invalid_pk_value"], "invalid_pk_value", {"pk": "…"}) from None
