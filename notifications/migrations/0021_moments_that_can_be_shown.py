"""Moments that can be read and shown in every time zone. The columns stay as they are."""

from django.db import migrations, models

import notifications.models.base
from notifications.migration import OwnMigration


class Migration(OwnMigration):
    dependencies = [("notifications", "0020_changes_by_moment")]

    operations = [
        migrations.AlterField(
            "reader",
            "muted_until",
            models.DateTimeField(
                blank=True,
                null=True,
                validators=[notifications.models.base.validate_moment],
                verbose_name="muted until",
            ),
        ),
        migrations.AlterField(
            "follow",
            "muted_until",
            models.DateTimeField(
                blank=True,
                null=True,
                validators=[notifications.models.base.validate_moment],
                verbose_name="muted until",
            ),
        ),
        migrations.AlterField(
            "announcement",
            "starts_at",
            models.DateTimeField(
                blank=True,
                help_text="Leave it empty to go live when it is published.",
                null=True,
                validators=[notifications.models.base.validate_moment],
                verbose_name="goes live",
            ),
        ),
        migrations.AlterField(
            "announcement",
            "ends_at",
            models.DateTimeField(
                blank=True,
                help_text="Leave it empty to end it by cancelling it.",
                null=True,
                validators=[notifications.models.base.validate_moment],
                verbose_name="ends",
            ),
        ),
    ]
