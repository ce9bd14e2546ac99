"""Binds a group to its type: a comment with the key of a like became one row with it, and its text was lost."""

from django.db import migrations, models

from notifications.migration import OwnMigration

NAME = "realtime_notifications_one_group"


class Migration(OwnMigration):
    dependencies = [("notifications", "0014_room_for_acts")]

    operations = [
        migrations.RemoveConstraint(model_name="notification", name=NAME),
        migrations.AddConstraint(
            model_name="notification",
            constraint=models.UniqueConstraint(
                condition=models.Q(("group_open", True)), fields=("recipient", "group_key", "type"), name=NAME
            ),
        ),
    ]
