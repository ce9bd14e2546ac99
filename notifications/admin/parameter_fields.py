"""The fields of a form for what a type of notification wants to know. Used by `sending_forms`."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.contrib.admin import widgets
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from notifications.announcements.audiences import everybody
from notifications.models import Dispatch, Notification, validate_link
from notifications.parameters import Parameter
from realtime.integration import UserSelect

LARGE = {"class": "vLargeTextField"}
TEXT_CHARS = 10_000


def name_of(parameter: Parameter) -> str:
    """The name of its field, which is none of the form's own."""
    return f"param_{parameter.name}"


class JsonField(forms.JSONField):
    """Shows what was typed as it was typed: Django writes it anew, and half a surrogate pair cannot be sent."""

    def to_python(self, value: Any) -> Any:
        """Django expects no other error than that of wrong JSON, but a number or the nesting may be too much, too."""
        try:
            return super().to_python(value)
        except (ValueError, RecursionError):
            raise ValidationError(self.error_messages["invalid"], "invalid", {"value": value}) from None

    def prepare_value(self, value: Any) -> Any:
        """Nothing, where Django writes `null`."""
        return "" if value is None else super().prepare_value(value)

    def bound_data(self, data: Any, initial: Any) -> Any:
        return None if data is None else InvalidJSONInput(data)


FIELDS: dict[type, Any] = {
    str: forms.CharField,
    bool: forms.BooleanField,
    int: forms.IntegerField,
    float: forms.FloatField,
    Decimal: forms.DecimalField,
    date: forms.DateField,
    datetime: forms.DateTimeField,
    UUID: forms.UUIDField,
    object: JsonField,
}
# Those of browsers: they need no script.
WIDGETS: dict[type, Any] = {
    str: widgets.AdminTextInputWidget,
    date: lambda: forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    datetime: lambda: forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    object: lambda: forms.Textarea(attrs={"rows": 2, **LARGE}),
}


def make_field(parameter: Parameter, is_required: bool, example: object) -> forms.Field:
    """The field for a parameter, with the example of the type as a hint."""
    options: dict[str, Any] = {
        "label": capfirst(parameter.name.replace("_", " ")),
        "required": is_required and parameter.kind is not bool,
        "initial": parameter.default,
    }
    if example is not None:
        options["help_text"] = _("For example: %(example)s") % {"example": example}
    if parameter.choices:
        return _make_choice(parameter.choices, options)
    if parameter.kind is str:
        options["max_length"] = TEXT_CHARS
    if parameter.kind in WIDGETS:
        options["widget"] = WIDGETS[parameter.kind]()
    field: forms.Field = FIELDS[parameter.kind](**options)
    return field


def _make_choice(values: Sequence[str | int], options: dict[str, Any]) -> forms.Field:
    empty = [] if options["required"] else [("", "---------")]
    known = {str(value): value for value in values}
    return forms.TypedChoiceField(
        choices=[*empty, *((value, value) for value in values)], coerce=known.__getitem__, empty_value=None, **options
    )


def make_actor(site: Any, is_required: bool) -> Any:
    widget = UserSelect(Dispatch._meta.get_field("actor"), site, Notification)
    field = forms.ModelChoiceField(
        everybody(),
        label=capfirst(_("actor")),
        required=is_required,
        widget=widget,
        help_text=_("Whose name it says. This person gets none."),
    )
    widget.choices = field.choices
    return field


def make_link() -> forms.Field:
    return forms.CharField(
        label=capfirst(_("link")),
        max_length=500,
        required=False,
        validators=[validate_link],
        widget=forms.TextInput(attrs=LARGE),
        help_text=_("Where the notification leads: a path, or an address with http, https or mailto."),
    )


def make_data() -> forms.Field:
    return JsonField(
        label=capfirst(_("data")),
        required=False,
        initial=dict,
        widget=forms.Textarea(attrs={"rows": 2, **LARGE}),
        help_text=_("A JSON object for clients."),
    )
