"""Leaves room beside the rows and index entries of notifications, because nearly all of them change: they are read.

PostgreSQL writes a changed row as a new one. Without room in its page, a hundred thousand go to new pages, and their
entries split those of the indexes. Rows that are there already stay where they are.
"""

from django.db import migrations

from notifications.migration import OwnMigration

# Percent of a new page that are filled. A second version of each row, which has two moments more, fits into the rest.
FILLED = 45
# Those with an entry for each row. The name of the primary key's is not ours.
INDEXES = "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = to_regclass(%s) AND indpred IS NULL"


class LeaveRoom(migrations.operations.base.Operation):
    def state_forwards(self, app_label, state):
        pass

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        self._alter(app_label, schema_editor, to_state, f"SET (fillfactor = {FILLED})")

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        self._alter(app_label, schema_editor, to_state, "RESET (fillfactor)")

    def describe(self):
        return "Leave room for changes in the pages of notifications"

    def _alter(self, app_label, schema_editor, state, change):
        connection = schema_editor.connection
        model = state.apps.get_model(app_label, "Notification")
        if connection.vendor != "postgresql" or not self.allow_migrate_model(connection.alias, model):
            return
        table = schema_editor.quote_name(model._meta.db_table)
        with connection.cursor() as cursor:
            cursor.execute(INDEXES, [table])
            names = [name for (name,) in cursor.fetchall()]
        schema_editor.execute(f"ALTER TABLE {table} {change}", None)
        for name in names:
            schema_editor.execute(f"ALTER INDEX {name} {change}", None)


class Migration(OwnMigration):
    dependencies = [("notifications", "0001_initial")]

    operations = [LeaveRoom()]
