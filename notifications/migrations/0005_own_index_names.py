"""Gives the indexes of older databases the names that the first migration gives them now.

Names of indexes are shared by all tables of a database, and a site may have a `notifications_unread` of its own.
"""

from django.db import migrations

from notifications.migration import OwnMigration


class RenameOldIndexes(migrations.operations.base.Operation):
    def state_forwards(self, app_label, state):
        pass

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        connection = schema_editor.connection
        model = to_state.apps.get_model(app_label, "Notification")
        if not self.allow_migrate_model(connection.alias, model):
            return
        with connection.cursor() as cursor:
            present = connection.introspection.get_constraints(cursor, model._meta.db_table)
        for index in model._meta.indexes:
            old = index.clone()
            old.name = index.name.removeprefix("realtime_")
            if old.name in present:
                schema_editor.rename_index(model, old, index)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        pass

    def describe(self):
        return "Rename the indexes of older databases"


class Migration(OwnMigration):
    dependencies = [("notifications", "0004_no_reverse_names")]

    operations = [RenameOldIndexes()]
