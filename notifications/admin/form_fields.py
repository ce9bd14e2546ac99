"""What the forms of the admin share. Used by `sending`, `announcements` and `preferences`, and by their forms."""

import json
import re
import secrets
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.timezone import is_aware

KEY_NAME = "form_key"  # of the hidden field, and in the address of the form
OPENED = "opened"  # the name of the hidden field of `OpenedForm`
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


class OpenedField(forms.CharField):
    """What a form showed when it was opened. It is never a change."""

    widget = forms.HiddenInput

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class OpenedForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Changes what was changed in it, and nothing that others have changed since it was opened.

    The page has to show OPENED; without it, the form changes whatever it has, as Django's do.
    """

    opened = OpenedField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            shown = [f"{name}:{_sum_up(self.initial[name])}" for name in self.fields if name in self.initial]
            self.initial[OPENED] = " ".join(shown)

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        shown = dict(part.split(":", 1) for part in given.get(OPENED, "").split() if ":" in part)
        kept = {
            name for name in shown.keys() & given.keys() & self.initial.keys() if shown[name] == _sum_up(given[name])
        }
        given |= {name: self.initial[name] for name in kept}
        self.changed_data = [name for name in self.changed_data if name not in kept]
        return given


def _sum_up(value: Any) -> str:
    """A short text for a value. It is the same for one that a form shows and for the one that comes back."""
    text = json.dumps(_as_shown(value), cls=DjangoJSONEncoder, sort_keys=True)
    return sha256(text.encode()).hexdigest()[:16]


def _as_shown(value: Any) -> Any:
    if isinstance(value, str):
        return "\n".join(value.strip().splitlines())
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if is_aware(value) else value).replace(microsecond=0)
    if isinstance(value, list | QuerySet) and all(isinstance(one, Model) for one in value):
        return sorted(str(one.pk) for one in value)
    return value
