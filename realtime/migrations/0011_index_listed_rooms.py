"""Lists and counts of rooms pass by those for direct messages: there may be one for each pair of users."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('realtime', '0010_room_for_numbers'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='room',
            index=models.Index(condition=models.Q(('direct', False)), fields=['slug'], name='realtime_listed_rooms'),
        ),
    ]
