"""Changes many rows, each in its own way, with one statement: they are one JSON parameter. Used by what stores."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from django.db import models
from django.db.models.expressions import RawSQL

from realtime.integration import connection, rows, stored_id, update_rows, user_column

ROWS_AT_ONCE = 1_000
# Where a statement does much for each row. A longer one keeps a core from others, such as a message that is stored.
FEW_ROWS = 300

Key = TypeVar("Key")


def update(
    model: type[models.Model],
    types: Mapping[str, str],
    values: Sequence[Mapping[str, Any]],
    only_if: tuple[str, Any] | None = None,
) -> None:
    """Set columns of rows. Each of `values` has the row's `id` and a value for each column of `types`.

    `types` are PostgreSQL's, by column. `only_if` is a column with the value that it must have; other rows stay.
    """
    for start in range(0, len(values), ROWS_AT_ONCE):
        update_rows(model._meta.db_table, types, values[start : start + ROWS_AT_ONCE], only_if)


def parts(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    """As many of them as one statement takes."""
    return _divide(keys, ROWS_AT_ONCE)


def few(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    """As many of them as one statement takes that does much for each."""
    return _divide(keys, FEW_ROWS)


def _divide(keys: Sequence[Key], most: int) -> Iterator[Sequence[Key]]:
    for start in range(0, len(keys), most):
        yield keys[start : start + most]


def among(readers: Sequence[Any]) -> RawSQL:
    """For a filter such as `user__in`: any number of users as one parameter, which costs little for ten thousand."""
    table = rows(recipient=user_column())
    payload = as_json([{"recipient": stored_id(reader)} for reader in readers])
    return RawSQL(f"SELECT {table.columns} FROM {table.source}", [payload])


def as_json(values: Sequence[Mapping[str, Any]]) -> str:
    return msgspec.json.encode(values).decode()


def moment(value: datetime | None) -> str | None:
    """A moment in JSON, as the database reads it."""
    return None if value is None else str(connection.ops.adapt_datetimefield_value(value))
