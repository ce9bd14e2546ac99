"""Binds a group to its type, and lets it remember the keys of all that are in it.

A comment with the key of a like became one row with it, and its text was lost. Groups that are there already remember
the key of their newest notification only, as before.
"""

from django.db import migrations, models

from notifications.migration import OwnMigration

ONE_GROUP, ONE_MEMBER = "realtime_notifications_one_group", "realtime_notifications_one_member"


class Migration(OwnMigration):
    dependencies = [("notifications", "0014_room_for_acts")]

    operations = [
        migrations.RemoveConstraint(model_name="notification", name=ONE_GROUP),
        migrations.AddConstraint(
            model_name="notification",
            constraint=models.UniqueConstraint(
                condition=models.Q(("group_open", True)), fields=("recipient", "group_key", "type"), name=ONE_GROUP
            ),
        ),
        migrations.AddField(
            model_name="groupmember", name="dedupe_key", field=models.CharField(default="", max_length=255)
        ),
        migrations.RemoveConstraint(model_name="groupmember", name=ONE_MEMBER),
        migrations.AddConstraint(
            model_name="groupmember",
            constraint=models.UniqueConstraint(fields=("notification", "person", "dedupe_key"), name=ONE_MEMBER),
        ),
        migrations.AddConstraint(
            model_name="groupmember",
            constraint=models.UniqueConstraint(
                condition=models.Q(("dedupe_key", ""), _negated=True),
                fields=("dedupe_key", "notification"),
                name="realtime_notifications_member_once",
            ),
        ),
    ]
