"""Many rows in one statement, on PostgreSQL and SQLite (L1). Used by the log and by chat, whose speed depends on it.

The rows travel as one JSON parameter, so a batch of any size is one statement with the same text.
"""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection


@dataclass(frozen=True, slots=True)
class Rows:
    """A JSON array of objects as a table.

    `columns` is the select list, `source` what follows FROM; it contains one `%s` for the array.
    """

    columns: str
    source: str

    def __init__(self, vendor: str, **types: str) -> None:
        if vendor == "postgresql":
            declared = ", ".join(f"{name} {type}" for name, type in types.items())
            columns = ", ".join(f"item.{name}" for name in types)
            source = f"jsonb_to_recordset(%s::jsonb) AS item({declared})"
        elif vendor == "sqlite":
            columns = ", ".join(f"json_extract(item.value, '$.{name}')" for name in types)
            source = "json_each(%s) AS item"
        else:
            raise NotImplementedError(f"The log runs on PostgreSQL and SQLite, not on {vendor}.")
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "source", source)


def user_column() -> str:
    """The column type of a reference to a user, as this database calls it."""
    return str(_user_key().rel_db_type(connection))


def stored_id(pk: Any) -> Any:
    """A user's primary key as a JSON value that the column takes; None stays None."""
    return None if pk is None else plain(_user_key().get_db_prep_value(pk, connection))


def plain(value: Any) -> int | str:
    """A key as the cursor gives it, made comparable with `stored_id`."""
    return value if isinstance(value, int) else str(value)


def _user_key() -> Any:
    return get_user_model()._meta.pk
