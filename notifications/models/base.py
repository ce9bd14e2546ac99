"""The base of the app's tables: they are read from the database that is written to, as those of `realtime` are."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # The plugin of mypy would give every table the rows of `ExactModel`.
    from django.db.models import Model as Table
else:
    from realtime.integration import ExactModel as Table

__all__ = ["Table"]
