from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("realtime", "0011_index_listed_rooms")]

    operations = [
        migrations.AddField(
            model_name="lastseen",
            name="left_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="left unseen at"),
        ),
    ]
