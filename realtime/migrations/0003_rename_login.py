"""A login is called a login: a session is what survives a reconnect."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("realtime", "0002_index_direct_messages")]

    operations = [
        migrations.RenameField("ticket", "token_session", "token_login"),
        migrations.AlterField("ticket", "token_login", models.CharField(blank=True, max_length=64, verbose_name="login")),
    ]
