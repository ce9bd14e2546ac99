from django.db import migrations, models
from django.db.models import Exists, OuterRef

from notifications.migration import FitOlderTables, OwnMigration


def keep_the_last_round(find_model, database):
    deliveries = find_model("Delivery").objects.using(database)
    later = deliveries.filter(
        notification=OuterRef("notification"), channel=OuterRef("channel"), round__gt=OuterRef("round")
    )
    deliveries.filter(Exists(later)).delete()


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
        FitOlderTables(keep_the_last_round),
    ]
