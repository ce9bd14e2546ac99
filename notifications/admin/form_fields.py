"""Fields that the forms of the admin share. Used by `sending_forms` and `announcement_forms`."""

import secrets
from typing import Any

from django import forms
from django.core.exceptions import ValidationError


def new_key() -> str:
    """For a hidden field: when a form is sent twice, the second one has the key of the first."""
    return secrets.token_urlsafe(24)


class KeysField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # generic in the stubs only
    """Refuses numbers of more than 64 bits, which SQLite does not take. Django does so for single keys only."""

    def clean(self, value: Any) -> Any:
        try:
            return super().clean(value)
        except OverflowError:
            raise ValidationError(self.error_messages["invalid_pk_value"], "invalid_pk_value", {"pk": "…"}) from None
