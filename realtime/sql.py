"""Many rows in one statement, on PostgreSQL and SQLite (L1). Used by the log and by chat, whose speed depends on it.

The rows travel as one JSON parameter, so a batch of any size is one statement with the same text.
"""

from dataclasses import dataclass


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
