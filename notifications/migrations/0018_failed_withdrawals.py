"""A state for what staff have sent and cannot be withdrawn. The column stays as it is."""

from django.db import migrations, models

from notifications.migration import OwnMigration


class Migration(OwnMigration):
    dependencies = [("notifications", "0017_deciding_rules")]

    operations = [
        migrations.AlterField(
            "dispatch",
            "state",
            models.CharField(
                choices=[
                    ("sending", "being sent"),
                    ("sent", "sent"),
                    ("stopped", "stopped"),
                    ("failed", "failed"),
                    ("withdrawing", "being withdrawn"),
                    ("not_withdrawn", "could not be withdrawn"),
                    ("withdrawn", "withdrawn"),
                ],
                default="sending",
                editable=False,
                max_length=16,
                verbose_name="state",
            ),
        ),
    ]
