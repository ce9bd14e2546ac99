"""What readers have chosen, in Django's admin: staff look at it, and change it for them."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import JSONField, Q, QuerySet, prefetch_related_objects
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from notifications.admin.form_fields import OPENED, OpenedForm
from notifications.admin.mixins import LockedMixin, LongListMixin
from notifications.admin.parameter_fields import JsonField
from notifications.models import Preference
from notifications.preferences.changing import reconsider
from notifications.types import categories, choices, find_type
from realtime.integration import FindsUsers, exact

# Of fields that staff cannot guess how to fill in.
HELP_TEXTS = {
    "quiet_hours": _('A list such as [{"days": [5, 6], "start": "22:00", "end": "07:00"}]; 1 is Monday.'),
    "digest_weekday": _("1 is Monday."),
}


class ChoicesForm(OpenedForm):
    def clean_user(self) -> Any:
        """Locked until the new row is stored: whether the user is there, the database looks at COMMIT only."""
        user = self.cleaned_data["user"]
        there = exact(get_user_model()._base_manager).filter(pk=user.pk)
        there.select_for_update(of=("self",), no_key=True).values_list("pk").first()
        return user

    def _post_clean(self) -> None:
        """The user of a stored row is not in the form, so Django passes over what is unique for each user."""
        super()._post_clean()  # type: ignore[misc]  # not in the stubs
        if "user" not in self.fields and not self.errors:
            try:
                self.instance.validate_constraints()
            except ValidationError as error:
                self.add_error(None, error)


class ChoicesMixin(FindsUsers, LockedMixin, LongListMixin):
    """Rows that stay their user's. Whatever happens to one, what waits for the user is decided again.

    The user may change the rest, such as by the link of a mail, while staff have the form open.
    """

    form = ChoicesForm

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found = super().get_object(request, object_id, from_field)
        prefetch_related_objects([found] if found else [], "user")  # which names it, and which locking forgets
        return found

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_fields(request, obj)
        is_changed = obj is not None and self.has_change_permission(request, obj)
        return fields if is_changed else [name for name in fields if name != OPENED]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if obj is None else [*fields, "user"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        reconsider(obj.user_id, has_unmuted=True)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        user = obj.user_id  # of a reader, the deletion takes it from the object
        super().delete_model(request, obj)
        reconsider(user, has_unmuted=True)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        users = sorted(set(queryset.values_list("user_id", flat=True)))
        super().delete_queryset(request, queryset)
        for user in users:
            reconsider(user, has_unmuted=True)


class ReaderAdminMixin(ChoicesMixin):
    """What readers have chosen for all notifications."""

    list_display = ["user", "socket", "mail", "digest", "muted_until", "bounced_address"]
    list_filter = ["mail", "socket", "digest"]
    readonly_fields = ["mailed_at"]

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Django's own field for JSON expects less than people send. A widget of the site or its theme stays."""
        if isinstance(db_field, JSONField):
            kwargs.setdefault("form_class", JsonField)
        if db_field.name in HELP_TEXTS:
            kwargs.setdefault("help_text", HELP_TEXTS[db_field.name])
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def match(self, term: str) -> Q:
        return Q(bounced_address__iexact=term) if "@" in term else Q()


class PreferenceForm(ChoicesForm):
    def clean(self) -> dict[str, Any]:
        """What is for a type or category that is gone stays; a new key has to exist, or nothing would come of it."""
        given = super().clean()
        is_new = not {"scope", "key"}.isdisjoint(self.changed_data)
        if is_new and "scope" in given and "key" in given:
            known = dict(choices()) if given["scope"] == Preference.Scope.TYPE else categories()
            if given["key"] not in known:
                text = _("There is no “{name}” here. Choose from: {known}.")
                self.add_error("key", text.format(name=given["key"], known=", ".join(sorted(known))))
        return given


class PreferenceAdminMixin(ChoicesMixin):
    """What readers have chosen for types and categories."""

    form = PreferenceForm
    list_display = ["user", "scope", "key", "channel", "enabled"]
    list_filter = ["scope", "channel", "enabled"]

    def match(self, term: str) -> Q:
        is_key = find_type(term) is not None or term in categories()
        return Q(key=term) if is_key else Q()


# Generic in the type stubs only: hence the ignored errors.
class ReaderAdmin(ReaderAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    pass


class PreferenceAdmin(PreferenceAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    pass
