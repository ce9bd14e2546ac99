from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('realtime', '0008_unnamed_logins'),
    ]

    operations = [
        migrations.CreateModel(
            name='Live',
            fields=[
            ],
            options={
                'verbose_name': 'live',
                'verbose_name_plural': 'live',
                'permissions': [('view_live_users', 'Can see who is online'), ('view_live_processes', 'Can see the sockets of each process'), ('view_live_rooms', 'Can see which rooms are open, also private ones'), ('disconnect_user', 'Can close all sockets of a user')],
                'proxy': True,
                'default_permissions': (),
                'indexes': [],
                'constraints': [],
            },
            bases=('realtime.lastseen',),
        ),
    ]
