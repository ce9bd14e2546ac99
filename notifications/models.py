"""The table of notifications: what was sent to whom, and when they read it. Used by `sending`, `inbox` and `admin`."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from notifications.links import is_safe
from notifications.types import NAME_CHARS


def validate_link(link: str) -> None:
    """Raises ValidationError for a link that clients must not follow."""
    if not is_safe(link):
        raise ValidationError(_("Enter a path such as /users/1, or an address with http, https or mailto."), "unsafe")


class NotificationQuerySet(models.QuerySet["Notification"]):
    def unread(self) -> "NotificationQuerySet":
        return self.filter(read_at__isnull=True)

    def mark_read(self) -> int:
        """Mark as read those that are unread, and return how many that were. The others keep their `read_at`."""
        return self.unread().update(read_at=timezone.now())

    def mark_unread(self) -> int:
        """Mark as unread those that are read, and return how many that were."""
        return self.filter(read_at__isnull=False).update(read_at=None)


class Notification(models.Model):
    """A notification of one user, with the text that was sent, in the language in which it was sent."""

    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="+",
        db_index=False,  # both indexes below begin with it
        verbose_name=_("recipient"),
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("actor"),
        help_text=_("The user who caused the notification, such as the follower or the author of a comment."),
    )
    type = models.CharField(_("type"), max_length=NAME_CHARS)
    title = models.CharField(_("title"), max_length=255)
    message = models.TextField(_("message"), blank=True)
    data = models.JSONField(_("data"), default=dict, blank=True, help_text=_("A JSON object for clients."))
    link = models.CharField(
        _("link"),
        max_length=500,
        blank=True,
        validators=[validate_link],
        help_text=_("Where the notification leads: a path, or an address with http, https or mailto."),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    read_at = models.DateTimeField(_("read at"), null=True, blank=True, editable=False)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        ordering = ["-id"]
        # Names of indexes are shared by all tables of a database, so they begin as no name of the site does.
        indexes = [
            models.Index(name="realtime_notifications_inbox", fields=["recipient", "-id"]),
            models.Index(
                name="realtime_notifications_unread", fields=["recipient", "-id"], condition=Q(read_at__isnull=True)
            ),
            models.Index(name="realtime_notifications_age", fields=["created_at"]),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_read(self) -> bool:
        return self.read_at is not None
