"""Refuses requests to lists and pages of the admin that make no sense. Used by the admin classes of both apps.

Django answers some of them with an error of the server: a NUL character on PostgreSQL, a year that has no next one, a
month, a moment or a number that is too large for Python or the database, a comparison that the database does not offer,
and a selected row whose key is none.
"""

import re
from typing import Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest, ValidationError
from django.db import DataError, NotSupportedError
from django.http import HttpRequest

# Those with a day before them and after them, in each time zone.
YEARS = range(2, 9999)
YEAR_PARTS = {"year", "iso_year"}


class CarefulLists:
    """For an admin class, before `ModelAdmin`."""

    opts: Any

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        require_sense(request, self.opts.pk)
        try:
            return super().changelist_view(request, extra_context)  # type: ignore[misc]
        except (DataError, NotSupportedError, OverflowError) as error:
            # Without a query, it is no fault of the address. An action may fail for reasons of its own.
            if not request.GET or request.method == "POST":
                raise
            raise BadRequest("A value that cannot be looked for") from error

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """None for a key that cannot be looked for. Of a relation, Django does not look how large it is."""
        try:
            return None if "\0" in object_id else super().get_object(request, object_id, from_field)  # type: ignore[misc]
        except OverflowError:
            return None


def require_sense(request: HttpRequest, key: Any) -> None:
    """`key` is the primary key of the list's rows. Raises BadRequest, which Django answers with status 400."""
    for name, values in request.GET.lists():
        if any("\0" in value for value in values):
            raise BadRequest("A NUL character")
        # Also with a comparison behind it, and then perhaps with several years: `created_at__year__in=2024,2025`.
        years = ",".join(values).split(",") if YEAR_PARTS & set(name.split("__")[1:]) else []
        if not all(_is_year(value) for value in years):
            raise BadRequest("No year")
    if not all(_is_key(value, key) for value in request.POST.getlist(ACTION_CHECKBOX_NAME)):
        raise BadRequest("No key of a row")


def _is_year(value: str) -> bool:
    return re.fullmatch("[0-9]{1,4}", value) is not None and int(value) in YEARS


def _is_key(value: str, field: Any) -> bool:
    while field.remote_field is not None:  # the key may be that of another model
        field = field.target_field
    try:
        field.clean(value, None)
    except ValidationError:
        return False
    return "\0" not in value
