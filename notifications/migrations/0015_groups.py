"""Binds a group to its type, and lets it remember the keys of all that are in it.

A comment with the key of a like became one row with it, and its text was lost. Groups that are there already remember
the key of their newest notification only, as before.
"""

from django.db import migrations, models
from django.db.models import Exists, OuterRef

from notifications.migration import FitOlderTables, OwnMigration

ONE_GROUP, ONE_MEMBER = "realtime_notifications_one_group", "realtime_notifications_one_member"


def keep_the_newest(find_model, database):
    """A reader had one open group with a key, whatever its type, and a person was in a group once."""
    groups = find_model("Notification").objects.using(database).filter(group_open=True)
    newer = groups.filter(recipient=OuterRef("recipient"), group_key=OuterRef("group_key"), pk__gt=OuterRef("pk"))
    groups.filter(Exists(newer)).update(group_open=False)
    members = find_model("GroupMember").objects.using(database)
    later = members.filter(notification=OuterRef("notification"), person=OuterRef("person"), pk__gt=OuterRef("pk"))
    members.filter(Exists(later)).delete()


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
        FitOlderTables(keep_the_newest),
    ]
