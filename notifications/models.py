"""Tables of the app: what users were told, and whether they have read it. Used by `inbox` and the edges."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from notifications.types import NAME_CHARS


class NotificationQuerySet(models.QuerySet["Notification"]):
    def unread(self) -> "NotificationQuerySet":
        return self.filter(read_at__isnull=True)

    def mark_read(self) -> int:
        """How many were unread until now; what was read before keeps its time."""
        return self.unread().update(read_at=timezone.now())

    def mark_unread(self) -> int:
        """How many were read until now."""
        return self.filter(read_at__isnull=False).update(read_at=None)


class Notification(models.Model):
    """One thing that one user was told, in the words and the language in which it was told."""

    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="notifications",
        db_index=False,  # the inbox's index begins with it
        verbose_name=_("recipient"),
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("actor")
    )
    type = models.CharField(_("type"), max_length=NAME_CHARS)
    title = models.CharField(_("title"), max_length=255)
    message = models.TextField(_("message"), blank=True)
    data = models.JSONField(_("data"), default=dict, blank=True)
    link = models.CharField(_("link"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    read_at = models.DateTimeField(_("read at"), null=True, blank=True, editable=False)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        ordering = ["-id"]
        indexes = [
            models.Index(name="notifications_inbox", fields=["recipient", "-id"]),
            models.Index(name="notifications_unread", fields=["recipient", "-id"], condition=Q(read_at__isnull=True)),
            models.Index(name="notifications_age", fields=["created_at"]),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_read(self) -> bool:
        return self.read_at is not None
