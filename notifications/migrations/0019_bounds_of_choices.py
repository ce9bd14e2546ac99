"""Bounds of what readers choose. The columns stay as they are."""

import django.core.validators
from django.db import migrations, models

from notifications.migration import OwnMigration


class Migration(OwnMigration):
    dependencies = [("notifications", "0018_failed_withdrawals")]

    operations = [
        migrations.AlterField(
            "reader",
            "digest_hour",
            models.PositiveSmallIntegerField(
                default=8,
                validators=[django.core.validators.MaxValueValidator(23)],
                verbose_name="hour of the digest",
            ),
        ),
        migrations.AlterField(
            "reader",
            "digest_weekday",
            models.PositiveSmallIntegerField(
                default=1,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(7),
                ],
                verbose_name="weekday of the digest",
            ),
        ),
        migrations.AlterField(
            "reader",
            "away_minutes",
            models.PositiveIntegerField(
                blank=True,
                help_text="How long the reader is away before a mail is sent; as the site has it if empty.",
                null=True,
                validators=[django.core.validators.MaxValueValidator(10080)],
                verbose_name="away after minutes",
            ),
        ),
    ]
