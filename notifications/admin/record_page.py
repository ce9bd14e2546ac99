"""The page of one notification in the admin: what it says, and what has become of it. Nobody changes it. A mixin."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from notifications import timeline
from notifications.admin.bases import AdminMixin
from notifications.followables import label_of
from notifications.models import Notification
from notifications.models.target import content_types
from notifications.preferences.explaining import explain, in_words
from notifications.previews import render_stored
from notifications.types import CHANNEL_NAMES, INFO, find_type, label_of_category
from realtime.integration import may_open

OUTCOMES = {"sent": _("sent"), "waiting": _("waiting"), "off": _("not sent")}
EMPTY = "-"  # as Django's admin has it
FIELDS: Any = [
    *("recipient", "type_label", "category", "actor", "about", "reason", "link", "params", "data"),
    *("group", "silent", "dedupe_key"),
]


class PageMixin(AdminMixin):
    """What the page has."""

    fields = FIELDS
    readonly_fields = FIELDS
    change_form_template = "admin/notifications/notification/change_form.html"

    def has_change_permission(self, request: HttpRequest, obj: Notification | None = None) -> bool:
        """The right is for the actions of the list: what was sent stays as it was sent."""
        return obj is None and super().has_change_permission(request)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        row: Notification | None = kwargs.get("obj")
        if row is not None:
            self._note_link(request, row)
            # All times on the page are in one zone, and not those of the explanations in that of the reader.
            zone = timezone.get_current_timezone()
            found = [replace(one, text=in_words(one, zone)) for one in explain(row, row.recipient_id)]
            kind = find_type(row.type)
            context |= {
                "previews": render_stored(row),
                "level": kind.level if kind else INFO,
                "steps": timeline.build(row, found),
                "explanations": [(CHANNEL_NAMES[one.channel], OUTCOMES[one.verdict], one) for one in found],
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def _note_link(self, request: HttpRequest, row: Notification) -> None:
        """Where the object's page is, for `about`, which does not know who asks."""
        model = content_types().get_for_id(row.target_type_id).model_class() if row.target_type_id else None
        if model is not None and may_open(self.admin_site, model, request):
            address = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
            key = quote(row.target_key)
            with suppress(NoReverseMatch):  # a class of the site's may have no such page
                found: Any = row
                found.target_link = reverse(address, args=[key], current_app=self.admin_site.name)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What belongs to a notification goes with it and needs no list."""
        rows: list[Any] = list(objs)
        return [str(row) for row in rows], {str(Notification._meta.verbose_name_plural): len(rows)}, set(), []

    @admin.display(description=_("category"))
    def category(self, row: Notification) -> str:
        kind = find_type(row.type)
        return str(label_of_category(kind.category)) if kind else EMPTY

    @admin.display(description=_("about"))
    def about(self, row: Notification) -> str:
        """The object, with a link to its page in the admin if there is one that opens."""
        if row.target_type_id is None:
            return EMPTY
        name = f"{label_of(row.target_type_id)} {row.target_key}"
        link = getattr(row, "target_link", "")
        return format_html('<a href="{}">{}</a>', link, name) if link else name

    @admin.display(description=_("group"))
    def group(self, row: Notification) -> str:
        if row.group_count < 2:
            return row.group_key or EMPTY
        names = [str(person["name"]) for person in row.group_actors]
        if row.group_count > len(names) > 0:
            names.append("…")
        return f"{row.group_key}: {row.group_count}" + (f" ({', '.join(names)})" if names else "")
