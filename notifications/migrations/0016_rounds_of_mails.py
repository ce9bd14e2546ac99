from django.db import migrations, models

from notifications.migration import OwnMigration


class Migration(OwnMigration):
    dependencies = [("notifications", "0015_groups")]

    operations = [
        migrations.RemoveConstraint(model_name="delivery", name="realtime_notifications_one_delivery"),
        migrations.AddField(
            model_name="delivery",
            name="round",
            field=models.PositiveSmallIntegerField(default=1, editable=False, verbose_name="round"),
        ),
        migrations.AddField(
            model_name="delivery",
            name="settled_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="settled at"),
        ),
        migrations.AddField(
            model_name="notification",
            name="told_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="told in a summary at"),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.UniqueConstraint(
                fields=("notification", "channel", "round"), name="realtime_notifications_one_round"
            ),
        ),
    ]
