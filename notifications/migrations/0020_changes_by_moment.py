"""One index for what an act has overwritten in a notification: with two, undoing very many could take for ever."""

from django.db import migrations, models

from notifications.migration import OwnMigration


class Migration(OwnMigration):
    dependencies = [("notifications", "0019_bounds_of_choices")]

    operations = [
        migrations.AddIndex(
            "change",
            models.Index(fields=["notification", "at"], name="realtime_notifications_changes"),
        ),
        migrations.AlterField(
            "change",
            "notification",
            models.ForeignKey(
                db_index=False,
                on_delete=models.deletion.CASCADE,
                related_name="+",
                to="notifications.notification",
            ),
        ),
    ]
