"""What exists has arrived when it was created, and what was read has been seen."""

from django.db import migrations
from django.db.models import F

from notifications.migration import OwnMigration


class ArriveWhenCreated(migrations.operations.base.Operation):
    reduces_to_sql = False

    def state_forwards(self, app_label, state):
        pass

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        alias = schema_editor.connection.alias
        model = to_state.apps.get_model(app_label, "Notification")
        if self.allow_migrate_model(alias, model):
            model.objects.using(alias).update(arrived_at=F("created_at"), seen_at=F("read_at"))

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        pass

    def describe(self):
        return "Let notifications arrive when they were created"


class Migration(OwnMigration):
    dependencies = [("notifications", "0006_states_groups_and_follows")]

    operations = [ArriveWhenCreated()]
