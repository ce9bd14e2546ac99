"""Many rows in one statement, on PostgreSQL and SQLite. Used by the log and by chat, whose speed depends on it.

The rows travel as one JSON parameter, so a batch of any size is one statement with the same text.
"""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection


@dataclass(frozen=True, slots=True)
class Rows:
    """A JSON array of objects as a table with the columns that `types` names.

    `source` is what follows FROM and contains one `%s` for the array; `column` maps names to SQL expressions.
    """

    column: dict[str, str]
    source: str

    @property
    def columns(self) -> str:
        """All columns as a select list."""
        return ", ".join(self.column.values())


def rows(**types: str) -> Rows:
    """Raises NotImplementedError on other databases than PostgreSQL and SQLite."""
    if connection.vendor == "postgresql":
        declared = ", ".join(f"{name} {type}" for name, type in types.items())
        return Rows({name: f"item.{name}" for name in types}, f"jsonb_to_recordset(%s::jsonb) AS item({declared})")
    if connection.vendor == "sqlite":
        return Rows({name: f"json_extract(item.value, '$.{name}')" for name in types}, "json_each(%s) AS item")
    raise NotImplementedError(f"The log runs on PostgreSQL and SQLite, not on {connection.vendor}.")


def user_column() -> str:
    """The column type of a reference to a user, as this database calls it."""
    return str(_user_key().rel_db_type(connection))


def stored_id(pk: Any) -> Any:
    """A user's primary key as a JSON value that the column takes; None stays None."""
    if pk is None or isinstance(pk, int):  # five times a message: asking the field took a third of a batch's time
        return pk
    return plain(_user_key().get_db_prep_value(pk, connection))


def plain(value: Any) -> int | str:
    """A key as the cursor gives it, made comparable with `stored_id`."""
    return value if isinstance(value, int) else str(value)


def _user_key() -> Any:
    return get_user_model()._meta.pk
