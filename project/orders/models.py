"""The table of orders. They are made and changed in the admin."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Order(models.Model):
    class Status(models.TextChoices):
        NEW = "new", pgettext_lazy("order", "new")
        PAID = "paid", pgettext_lazy("order", "paid")
        SENT = "sent", pgettext_lazy("order", "sent")
        DELIVERED = "delivered", pgettext_lazy("order", "delivered")
        CANCELLED = "cancelled", pgettext_lazy("order", "cancelled")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="orders", verbose_name=_("user"))
    number = models.CharField(_("order number"), max_length=20, unique=True)
    status = models.CharField(_("status"), max_length=20, choices=Status, default=Status.NEW)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.number
