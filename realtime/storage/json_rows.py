"""Passes many rows to one SQL statement, on PostgreSQL and SQLite. The log and chat use it; their speed depends on it.

The rows are one JSON parameter, so the statement has the same text for a batch of any size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from django.contrib.auth import get_user_model

from realtime.storage.routed import connection


@dataclass(frozen=True, slots=True)
class Rows:
    """A JSON array of objects as a table.

    `source` goes after FROM and contains one `%s` for the array. `column` maps each column's name to its SQL
    expression.
    """

    column: dict[str, str]
    source: str

    @property
    def columns(self) -> str:
        """All columns as a select list."""
        return ", ".join(self.column.values())


def rows(**types: str) -> Rows:
    """The table for objects with these keys: `types` maps each to a PostgreSQL type.

    Raises NotImplementedError on databases other than PostgreSQL and SQLite.
    """
    if connection.vendor == "postgresql":
        declared = ", ".join(f"{name} {type}" for name, type in types.items())
        return Rows({name: f"item.{name}" for name in types}, f"jsonb_to_recordset(%s::jsonb) AS item({declared})")
    if connection.vendor == "sqlite":
        return Rows({name: f"json_extract(item.value, '$.{name}')" for name in types}, "json_each(%s) AS item")
    raise NotImplementedError(f"The log runs on PostgreSQL and SQLite, not on {connection.vendor}.")


def update_rows(
    table_name: str,
    types: Mapping[str, str],
    values: Sequence[Mapping[str, Any]],
    only_if: tuple[str, Any] | None = None,
) -> None:
    """Set columns of many rows with one statement. Each of `values` has the row's `id` and a value for each column.

    `types` are PostgreSQL's, by column. `only_if` is a column with the value that it must have; other rows stay.
    """
    table = rows(id="bigint", **types)
    given = ", ".join(f"{expression} AS {name}" for name, expression in table.column.items())
    columns = ", ".join(f"{name} = given.{name}" for name in types)
    condition = "" if only_if is None else f" AND {table_name}.{only_if[0]} = %s"
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table_name} SET {columns} FROM (SELECT {given} FROM {table.source}) AS given"
            f" WHERE {table_name}.id = given.id{condition}",
            [msgspec.json.encode(values).decode(), *([] if only_if is None else [only_if[1]])],
        )


def user_column() -> str:
    """The SQL type of a foreign key to a user, on this database."""
    return str(_user_key().rel_db_type(connection))


def stored_id(pk: Any) -> Any:
    """A user's primary key as a JSON value that the column accepts; None stays None."""
    # A short cut: this is called five times a message, and asking the field took a third of a batch's time.
    if pk is None or isinstance(pk, int):
        return pk
    return plain(_user_key().get_db_prep_value(pk, connection))


def plain(value: Any) -> int | str:
    """A primary key as the cursor returns it, in a form that can be compared with `stored_id`."""
    return value if isinstance(value, int) else str(value)


def _user_key() -> Any:
    return get_user_model()._meta.pk
