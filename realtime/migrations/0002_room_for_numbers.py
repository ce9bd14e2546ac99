"""Leaves room beside the rows of streams, because each event changes one of them: it takes the next number.

PostgreSQL writes a changed row as a new one. In its own page it needs no new entries in the two indexes. Where very
many users are notified at once, the rows of all their streams change at once, and pages that are full have room for
none of them. Rows that are there already stay where they are.
"""

from django.db import migrations

# Percent of a new page that are filled: a second version of each row fits into the rest.
FILLED = 45


class LeaveRoom(migrations.operations.base.Operation):
    def state_forwards(self, app_label, state):
        pass

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        self._alter(app_label, schema_editor, to_state, f"SET (fillfactor = {FILLED})")

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        self._alter(app_label, schema_editor, to_state, "RESET (fillfactor)")

    def describe(self):
        return "Leave room for changes in the pages of streams"

    def _alter(self, app_label, schema_editor, state, change):
        connection = schema_editor.connection
        model = state.apps.get_model(app_label, "Stream")
        if connection.vendor == "postgresql" and self.allow_migrate_model(connection.alias, model):
            schema_editor.execute(f"ALTER TABLE {schema_editor.quote_name(model._meta.db_table)} {change}", None)


class Migration(migrations.Migration):
    dependencies = [("realtime", "0001_initial")]

    operations = [LeaveRoom()]
