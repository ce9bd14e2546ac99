"""Notes which rule let a notification be pushed, and a mail be sent, so that it can be explained later. And a name of a number."""

from django.db import migrations, models

from notifications.migration import OwnMigration


class Migration(OwnMigration):
    dependencies = [("notifications", "0016_rounds_of_mails")]

    operations = [
        migrations.AddField("notification", "pushed_by", models.CharField(blank=True, editable=False, max_length=16)),
        migrations.AddField("delivery", "rule", models.CharField(blank=True, editable=False, max_length=16)),
        migrations.AlterField(
            "announcement",
            "reached",
            models.PositiveBigIntegerField(blank=True, editable=False, null=True, verbose_name="users it is for"),
        ),
    ]
