import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='LastSeen',
            fields=[
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='+', serialize=False, to=settings.AUTH_USER_MODEL, verbose_name='user')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('left_at', models.DateTimeField(editable=False, null=True, verbose_name='left unseen at')),
            ],
            options={
                'verbose_name': 'last seen',
                'verbose_name_plural': 'last seen',
            },
        ),
        migrations.CreateModel(
            name='Stream',
            fields=[
                ('name', models.CharField(max_length=100, primary_key=True, serialize=False, verbose_name='name')),
                ('last_seq', models.PositiveBigIntegerField(default=0, verbose_name='last number')),
                ('room', models.PositiveBigIntegerField(db_default=0, default=0, verbose_name='room')),
            ],
            options={
                'verbose_name': 'stream',
                'verbose_name_plural': 'streams',
            },
        ),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('stream', models.CharField(max_length=100, verbose_name='stream')),
                ('seq', models.PositiveBigIntegerField(null=True, verbose_name='number')),
                ('body', models.TextField(verbose_name='body')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='created at')),
            ],
            options={
                'verbose_name': 'event',
                'verbose_name_plural': 'events',
                'indexes': [models.Index(condition=models.Q(('seq__isnull', True)), fields=['created_at'], name='realtime_event_unsequenced')],
                'constraints': [models.UniqueConstraint(fields=('stream', 'seq'), name='realtime_event_order')],
            },
        ),
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
        migrations.CreateModel(
            name='Room',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.CharField(help_text="The room's id for clients: 1 to 64 of a-z 0-9 - _. It cannot be changed later.", max_length=64, unique=True, validators=[django.core.validators.RegexValidator('^[a-z0-9_-]{1,64}\\Z', 'Use 1 to 64 of these characters: a-z 0-9 - _')], verbose_name='slug')),
                ('title', models.CharField(blank=True, max_length=200, verbose_name='title')),
                ('private', models.BooleanField(default=False, help_text='Only members can see a private room.', verbose_name='private')),
                ('direct', models.BooleanField(default=False, editable=False, help_text='Such a room holds what two users write to each other.', verbose_name='direct messages')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created at')),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='created by')),
            ],
            options={
                'verbose_name': 'room',
                'verbose_name_plural': 'rooms',
                'ordering': ['slug'],
                'indexes': [models.Index(condition=models.Q(('direct', False)), fields=['slug'], name='realtime_listed_rooms')],
                'constraints': [models.CheckConstraint(condition=models.Q(('direct', False), ('private', True), _connector='OR'), name='realtime_direct_is_private')],
            },
        ),
        migrations.CreateModel(
            name='Message',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('text', models.TextField(verbose_name='text')),
                ('kind', models.CharField(default='text', max_length=16, verbose_name='kind')),
                ('client_id', models.CharField(blank=True, help_text="The id that the sender's client gave to the message.", max_length=64, null=True, verbose_name='client id')),
                ('seq', models.PositiveBigIntegerField(help_text="The number of the event in the room; of a direct message, among the sender's events.", verbose_name='number')),
                ('recipient_seq', models.PositiveBigIntegerField(blank=True, help_text="The number of a direct message among the recipient's events.", null=True, verbose_name="recipient's number")),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='created at')),
                ('recipient', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='recipient')),
                ('sender', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='sender')),
                ('room', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='messages', to='realtime.room', verbose_name='room')),
            ],
            options={
                'verbose_name': 'message',
                'verbose_name_plural': 'messages',
                'indexes': [models.Index(fields=['room', 'sender', 'seq'], name='realtime_message_place'), models.Index(condition=models.Q(('recipient_seq__isnull', False)), fields=['room', 'recipient', 'recipient_seq'], name='realtime_direct_received'), models.Index(condition=models.Q(('recipient_seq__isnull', False)), fields=['sender', 'seq'], name='realtime_direct_sent_by'), models.Index(condition=models.Q(('recipient__isnull', False)), fields=['recipient', 'recipient_seq'], name='realtime_direct_sent_to')],
                'constraints': [models.UniqueConstraint(fields=('sender', 'client_id'), name='realtime_message_once'), models.UniqueConstraint(condition=models.Q(('recipient_seq__isnull', True)), fields=('room', 'seq'), name='realtime_room_order')],
            },
        ),
        migrations.CreateModel(
            name='Membership',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('role', models.CharField(choices=[('owner', 'owner'), ('member', 'member')], default='member', max_length=16, verbose_name='role')),
                ('invited', models.BooleanField(db_default=False, default=False, editable=False, help_text='An owner added the user, who has not opened the room yet. Until then, nobody sees their name.', verbose_name='invited')),
                ('joined_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='joined at')),
                ('last_read_seq', models.PositiveBigIntegerField(default=0, help_text='The number of the last event of the room that the user has read.', verbose_name='read up to event')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='user')),
                ('room', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to='realtime.room', verbose_name='room')),
            ],
            options={
                'verbose_name': 'membership',
                'verbose_name_plural': 'memberships',
                'constraints': [models.UniqueConstraint(fields=('room', 'user'), name='realtime_member_once')],
            },
        ),
        migrations.CreateModel(
            name='Ticket',
            fields=[
                ('digest', models.CharField(max_length=64, primary_key=True, serialize=False, verbose_name='digest')),
                ('token_login', models.CharField(blank=True, max_length=64, verbose_name='login')),
                ('token_expires_at', models.DateTimeField(null=True, verbose_name='token expires at')),
                ('token_issued_at', models.PositiveBigIntegerField(db_default=0, default=0, verbose_name='token issued at')),
                ('password_hash', models.CharField(blank=True, db_default='', default='', max_length=32, verbose_name='digest of the password')),
                ('expires_at', models.DateTimeField(db_index=True, verbose_name='expires at')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='user')),
            ],
            options={
                'verbose_name': 'ticket',
                'verbose_name_plural': 'tickets',
            },
        ),
    ]
