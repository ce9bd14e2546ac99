"""No index of when notifications were created: every act would write a new entry into it. Keys grow with time."""

from django.db import migrations

from notifications.migration import OwnMigration


class Migration(OwnMigration):

    dependencies = [
        ('notifications', '0012_switches_and_retries'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='notification',
            name='realtime_notifications_age',
        ),
    ]
