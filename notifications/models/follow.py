"""The table of who follows an object, and who has muted it. Used by `follows` and by `sending`."""

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from notifications.models.base import Table, validate_moment


class Follow(Table):
    """What one user wants to hear of one object. A muted object stays silent for the user until `muted_until`."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False, verbose_name=_("user")
    )
    target_type = models.ForeignKey(
        ContentType, models.CASCADE, related_name="+", db_index=False, verbose_name=_("kind of object")
    )
    target_key = models.CharField(_("key of the object"), max_length=255)
    follows = models.BooleanField(_("follows"), default=False)
    # The end of time stands for a mute without an end.
    muted_until = models.DateTimeField(_("muted until"), null=True, blank=True, validators=[validate_moment])
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("followed object")
        verbose_name_plural = _("followed objects")
        constraints = [
            models.UniqueConstraint(
                name="realtime_notifications_one_follow", fields=["user", "target_type", "target_key"]
            )
        ]
        indexes = [models.Index(name="realtime_notifications_follows", fields=["target_type", "target_key"])]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.target_type_id} {self.target_key}"
