"""The base of the app's tables: they are read from the database that is written to, as those of `realtime` are."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from notifications import clock

if TYPE_CHECKING:
    # The plugin of mypy would give every table the rows of `ExactModel`.
    from django.db.models import Model as Table
else:
    from realtime.integration import ExactModel as Table

__all__ = ["Table", "validate_moment"]


def validate_moment(moment: datetime) -> None:
    """Raises ValidationError for one that could be stored and never be read again, or not in every time zone."""
    try:
        clock.as_stored(moment)
    except ValueError:
        raise ValidationError(_("Choose a time before 30 December 9999."), "out_of_range") from None
