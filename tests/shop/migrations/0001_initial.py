import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.CreateModel(
            name="Item",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(default="", max_length=50)),
                ("status", models.CharField(default="new", max_length=20)),
                ("price", models.DecimalField(decimal_places=2, default=0, max_digits=8)),
                ("stock", models.IntegerField(default=0)),
                ("details", models.JSONField(default=dict)),
                ("photo", models.FileField(default="", upload_to="photos")),
                ("fans", models.ManyToManyField(related_name="+", to=settings.AUTH_USER_MODEL)),
                (
                    "owner",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"abstract": False},
        ),
        migrations.CreateModel(
            name="Book",
            fields=[
                (
                    "item_ptr",
                    models.OneToOneField(
                        auto_created=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        parent_link=True,
                        primary_key=True,
                        serialize=False,
                        to="shop.item",
                    ),
                ),
                ("pages", models.IntegerField(default=0)),
            ],
            options={"abstract": False},
            bases=("shop.item",),
        ),
        migrations.CreateModel(
            name="ItemProxy", fields=[], options={"proxy": True, "indexes": [], "constraints": []}, bases=("shop.item",)
        ),
        migrations.CreateModel(
            name="Shelf",
            fields=[
                ("name", models.CharField(default="", max_length=50)),
                ("code", models.UUIDField(primary_key=True, serialize=False)),
                (
                    "item",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="shelves",
                        to="shop.item",
                    ),
                ),
            ],
            options={"abstract": False},
        ),
    ]
