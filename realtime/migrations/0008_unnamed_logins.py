from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("realtime", "0007_no_reverse_names"),
    ]

    operations = [
        migrations.AddField(
            model_name="ticket",
            name="token_issued_at",
            field=models.PositiveBigIntegerField(db_default=0, default=0, verbose_name="token issued at"),
        ),
    ]
