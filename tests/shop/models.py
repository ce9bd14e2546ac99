"""Abstract models, one with columns of all sorts, a proxy of it, and one that inherits its columns."""

from django.conf import settings
from django.db import models


class Named(models.Model):
    name = models.CharField(max_length=50, default="")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class Item(Named):
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    fans = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+")
    status = models.CharField(max_length=20, default="new")
    price = models.DecimalField(max_digits=8, decimal_places=2, default=0)
    stock = models.IntegerField(default=0)
    details = models.JSONField(default=dict)
    photo = models.FileField(upload_to="photos", default="")


class ItemProxy(Item):
    class Meta:
        proxy = True


class Book(Item):
    pages = models.IntegerField(default=0)


class Sorted(Named):
    class Meta:
        abstract = True


class Placed(Named):
    class Meta:
        abstract = True


class Shelf(Sorted, Placed):
    """With a key that is made before the row is. It builds on `Named` in two ways."""

    code = models.UUIDField(primary_key=True)
    item = models.ForeignKey(Item, models.CASCADE, null=True, related_name="shelves")
