"""Rows as JSON, and keys of users, in the words of each database."""

import uuid
from types import SimpleNamespace

import pytest
from django.db import connection, connections, models
from django.db.backends.postgresql.base import DatabaseWrapper as PostgreSQL
from django.db.backends.sqlite3.base import DatabaseWrapper as SQLite

from realtime.storage import json_rows

KEY = uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8057")


@pytest.fixture
def as_on(monkeypatch):
    """Another database, never connected to, and another primary key of users."""

    def change(wrapper, key):
        monkeypatch.setattr(json_rows, "connection", wrapper(connections["default"].settings_dict))
        monkeypatch.setattr(json_rows, "_user_key", lambda: key)

    return change


@pytest.mark.parametrize(
    ("wrapper", "column", "stored", "from_cursor"),
    [(PostgreSQL, "uuid", str(KEY), KEY), (SQLite, "char(32)", KEY.hex, KEY.hex)],
    ids=["postgresql", "sqlite"],
)
def test_it_takes_uuids_for_keys(as_on, wrapper, column, stored, from_cursor):
    as_on(wrapper, models.UUIDField(primary_key=True))
    assert json_rows.user_column() == column
    assert json_rows.stored_id(KEY) == json_rows.stored_id(str(KEY)) == stored
    assert json_rows.plain(from_cursor) == stored


@pytest.mark.parametrize(("wrapper", "column"), [(PostgreSQL, "varchar(30)"), (SQLite, "varchar(30)")])
def test_it_takes_words_for_keys(as_on, wrapper, column):
    as_on(wrapper, models.CharField(primary_key=True, max_length=30))
    assert json_rows.user_column() == column
    assert json_rows.stored_id("007") == json_rows.plain("007") == "007"


@pytest.mark.parametrize(("wrapper", "column"), [(PostgreSQL, "bigint"), (SQLite, "bigint")])
def test_it_takes_numbers_for_keys(as_on, wrapper, column):
    as_on(wrapper, models.BigAutoField(primary_key=True))
    assert json_rows.user_column() == column
    assert json_rows.stored_id(7) == json_rows.stored_id("7") == json_rows.plain(7) == 7


def test_it_keeps_nobody_as_nobody():
    assert json_rows.stored_id(None) is None


@pytest.mark.django_db
def test_it_reads_rows_out_of_json():
    table = json_rows.rows(name="text", count="bigint")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {table.columns}, {table.column['count']} + 1 FROM {table.source}",
            ['[{"name":"it\'s 100%","count":4294967296},{"count":1,"name":null}]'],
        )
        assert cursor.fetchall() == [("it's 100%", 4294967296, 4294967297), (None, 1, 2)]


def test_it_names_the_databases_it_runs_on(monkeypatch):
    monkeypatch.setattr(json_rows, "connection", SimpleNamespace(vendor="mysql"))
    with pytest.raises(NotImplementedError, match="PostgreSQL and SQLite, not on mysql"):
        json_rows.rows(name="text")
