"""Links from the pages of the admin to related objects. Used by the admin classes of both apps.

Django links each related object that a page only shows, also for staff to whom its own page would answer with 403.
"""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import FieldDoesNotExist
from django.db.models import ForeignKey, Model
from django.http import HttpRequest


class CarefulLinks:
    """For an admin class, before `ModelAdmin`: related objects are links only for staff who may open their pages."""

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        form = context["adminform"]
        drop_links(form, self, form.readonly_fields, request)
        for inline in context["inline_admin_formsets"]:
            # Where rows can be added, the same fields are those of the new ones.
            is_form = inline.has_change_permission or inline.has_add_permission
            fields = inline.readonly_fields if is_form else flatten_fieldsets(inline.fieldsets)
            drop_links(inline, inline.opts, fields, request)
        return super().render_change_form(request, context, *args, **kwargs)  # type: ignore[misc]


def drop_links(form: Any, page: Any, shown: Iterable[Any], request: HttpRequest) -> None:
    """Replace fields of `form`, which belongs to the admin class `page`. `shown` are those that cannot be changed."""
    names = {name: show_name(page, name) for name in shown if is_closed(page, name, request)}
    form.fieldsets = [
        (title, {**options, "fields": _replace(options["fields"], names)}) for title, options in form.fieldsets
    ]
    form.readonly_fields = _replace(form.readonly_fields, names)


def may_open(site: AdminSite, model: type[Model], request: HttpRequest) -> bool:
    """Whether the admin has pages of this model that the user may open."""
    page = site._registry.get(model)
    return page is not None and page.has_view_or_change_permission(request)


def is_closed(page: Any, name: Any, request: HttpRequest) -> bool:
    """Whether this field leads to a page that the user may not open. `name` may be a function, as Django allows."""
    try:
        field = page.model._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return isinstance(field, ForeignKey) and not may_open(page.admin_site, field.related_model, request)


def show_name(page: Any, name: str) -> Callable[[Any], str]:
    """A function that Django shows in the place of this field, with its label."""

    def show(row: Any) -> str:
        related = getattr(row, name)
        return str(page.get_empty_value_display() if related is None else related)

    show.__name__ = name  # the page has it as the class of the line
    show.short_description = page.model._meta.get_field(name).verbose_name  # type: ignore[attr-defined]
    return show


def _replace(fields: Iterable[Any], names: dict[Any, Any]) -> list[Any]:
    """Some of them may be lists: those of one line."""
    return [_replace(one, names) if isinstance(one, list | tuple) else names.get(one, one) for one in fields]
