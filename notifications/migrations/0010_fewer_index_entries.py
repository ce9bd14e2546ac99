"""Indexes that cost less to write: an act writes an entry into each index that has the row."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from notifications.migration import OwnMigration


class Migration(OwnMigration):

    dependencies = [
        ('contenttypes', '0002_remove_content_type_name'),
        ('notifications', '0009_preferences_and_deliveries'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='notification',
            name='realtime_notifications_once',
        ),
        migrations.RemoveIndex(
            model_name='notification',
            name='realtime_notifications_list',
        ),
        migrations.RemoveIndex(
            model_name='notification',
            name='realtime_notifications_unread',
        ),
        migrations.RemoveIndex(
            model_name='notification',
            name='realtime_notifications_unseen',
        ),
        migrations.RemoveIndex(
            model_name='notification',
            name='realtime_notifications_dedupe',
        ),
        migrations.AlterField(
            model_name='notification',
            name='actor',
            field=models.ForeignKey(blank=True, db_index=False, help_text='The user who caused the notification, such as the follower or the author of a comment.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='actor'),
        ),
        migrations.AddIndex(
            model_name='notification',
            index=models.Index(fields=['recipient', 'arrived_at', 'id'], name='realtime_notifications_list'),
        ),
        migrations.AddIndex(
            model_name='notification',
            index=models.Index(condition=models.Q(('archived_at__isnull', True), ('deleted_at__isnull', True), ('read_at__isnull', True), ('snoozed_until__isnull', True)), fields=['recipient', 'seen_at'], name='realtime_notifications_unread'),
        ),
        migrations.AddIndex(
            model_name='notification',
            index=models.Index(condition=models.Q(('actor__isnull', False)), fields=['actor'], name='realtime_notifications_actor'),
        ),
        migrations.AddConstraint(
            model_name='notification',
            constraint=models.UniqueConstraint(condition=models.Q(('dedupe_key', ''), _negated=True), fields=('dedupe_key', 'recipient'), name='realtime_notifications_once'),
        ),
    ]
