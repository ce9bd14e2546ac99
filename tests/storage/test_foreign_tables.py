"""Tables of another app with the names of ours: when one is found, and when nothing is said."""

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from realtime import installation
from realtime.storage.foreign_tables import find_foreign_tables

pytestmark = pytest.mark.django_db

NOT_OURS = "The table notifications_notification belongs to another app: it has no "
GONE = "There is no table notifications_notification, although django_migrations says that it was made."


def execute(*statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def find(label="notifications"):
    return find_foreign_tables(label, "default")


@pytest.fixture
def no_table():
    execute("ALTER TABLE notifications_notification RENAME TO kept")


@pytest.fixture
def foreign_table(no_table):
    """That of django-notifications-hq, as far as names matter."""
    execute(
        "CREATE TABLE notifications_notification"
        " (id integer, level varchar(20), unread bool, actor_object_id varchar(255), verb varchar(255),"
        " recipient_id integer, actor_id integer)"
    )


@pytest.fixture
def no_rows():
    """Nothing is recorded in django_migrations."""
    MigrationRecorder(connection).migration_qs.filter(app="notifications").delete()


@pytest.fixture
def foreign_rows(no_rows):
    for name in ("0001_initial", "0002_auto_20150224_1134", "0010_auto_20190212_1213"):
        MigrationRecorder(connection).record_applied("notifications", name)


def test_it_knows_our_own():
    assert find() + find("realtime") == []


def test_it_does_not_mind_tables_that_were_made_without_migrations(no_rows):
    assert find() == []


def test_it_does_not_mind_an_empty_database(no_table, no_rows):
    assert find() == []


def test_it_does_not_mind_tables_of_a_version_before():
    """Where there was a column that has gone since. An app of Django's stands for ours, which have one version yet."""
    MigrationRecorder(connection).migration_qs.filter(app="contenttypes").exclude(name__startswith="0001").delete()
    assert len(find("contenttypes")) == 1
    execute("ALTER TABLE django_content_type ADD COLUMN name varchar(100)")
    assert find("contenttypes") == []


def test_it_finds_the_table_of_another_app(foreign_table, no_rows):
    (sentence,) = find()
    assert sentence.startswith(NOT_OURS)


def test_it_finds_it_behind_rows_of_that_app(foreign_table, foreign_rows):
    (sentence,) = find()
    assert sentence.startswith(NOT_OURS)


def test_it_finds_rows_of_another_app_whose_table_is_gone(no_table, foreign_rows):
    assert find() == [GONE]


def test_it_leaves_databases_alone_where_our_tables_do_not_belong(foreign_table, foreign_rows, settings):
    class Router:
        def allow_migrate(self, database, label, **hints):
            return label != "notifications"

    settings.DATABASE_ROUTERS = [Router()]
    assert find() == []


def test_it_leaves_apps_alone_that_have_no_migrations(foreign_table, settings):
    settings.MIGRATION_MODULES = {"notifications": None}
    assert find() == []


def test_another_app_called_realtime_is_reported_before_anything_is_migrated():
    assert installation.check_tables() == []
    assert installation.check_tables(databases=["default"]) == []
    execute("DROP TABLE realtime_lastseen", "CREATE TABLE realtime_lastseen (id integer)")
    (error,) = installation.check_tables(databases=["default"])
    assert (error.id, "realtime_lastseen belongs to another app" in error.msg) == ("realtime.E008", True)
