"""The tables of mails to readers and of periodic jobs. Used by `mailing`, `jobs` and the admin."""

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from notifications.models.base import Table
from notifications.models.notification import Notification
from notifications.types import CHANNEL_NAMES
from realtime.integration import name_related


class Delivery(Table):
    """One notification on its way to its reader, by mail: waiting, sent, or not sent for a reason.

    When it comes back or is sent again, it is on its way once more: in another round, with a row of its own.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")
        BOUNCED = "bounced", _("bounced")
        SUPPRESSED = "suppressed", _("suppressed")

    notification = models.ForeignKey(
        Notification, models.CASCADE, related_name="+", db_index=False, verbose_name=_("notification")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False, verbose_name=_("user")
    )
    channel = models.CharField(_("channel"), max_length=16, choices=list(CHANNEL_NAMES.items()), default="mail")
    round = models.PositiveSmallIntegerField(_("round"), default=1, editable=False)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.QUEUED)
    # Why it was suppressed or is not sent yet: a word of `mailing.reasons`.
    reason = models.CharField(_("reason"), max_length=16, blank=True)
    # The rule of the cascade that let it be sent, when it was last asked.
    rule = models.CharField(max_length=16, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    due_at = models.DateTimeField(_("due at"))
    # While it is claimed by a worker: until when, and by which.
    leased_until = models.DateTimeField(_("claimed until"), null=True, editable=False)
    lease = models.CharField(max_length=32, blank=True, editable=False)
    error = models.CharField(_("error"), max_length=500, blank=True)
    # The message's own id, or the one that the mail service gave it.
    message_id = models.CharField(_("message id"), max_length=255, blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    sent_at = models.DateTimeField(_("sent at"), null=True, editable=False)
    # Since when it has its state, unless it waits.
    settled_at = models.DateTimeField(_("settled at"), null=True, editable=False)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ["-id"]
        permissions = [("retry_delivery", "Can try failed deliveries again")]
        constraints = [
            models.UniqueConstraint(
                name="realtime_notifications_one_round", fields=["notification", "channel", "round"]
            ),
        ]
        indexes = [
            models.Index(name="realtime_notifications_queued", fields=["due_at"], condition=Q(state="queued")),
            models.Index(name="realtime_notifications_mails", fields=["user", "state"]),
            models.Index(name="realtime_notifications_message", fields=["message_id"], condition=~Q(message_id="")),
        ]

    def __str__(self) -> str:
        return f"{name_related(self, 'notification')}, {self.get_channel_display()}: {self.get_state_display()}"

    @classmethod
    def lock(cls, chosen: "models.QuerySet[Delivery]") -> list[int]:
        """Lock these in the order in which everybody locks several of them. Returns their primary keys."""
        locked = chosen.select_for_update(of=("self",)).order_by("notification_id", "pk")
        return list(locked.values_list("pk", flat=True))

    @classmethod
    def last_rounds(cls) -> "models.QuerySet[Delivery]":
        return cls.objects.filter(cls.is_last())

    @classmethod
    def is_last(cls) -> Q:
        """Of those after which no other round of their notification has begun."""
        same = {"notification": OuterRef("notification"), "channel": OuterRef("channel")}
        return Q(~Exists(cls.objects.filter(**same, round__gt=OuterRef("round"))))


class JobRun(Table):
    """A periodic job: when it is due again, and how it ended the last time."""

    name = models.CharField(_("name"), max_length=64, primary_key=True)
    due_at = models.DateTimeField(_("due at"))
    started_at = models.DateTimeField(_("started at"), null=True)
    ended_at = models.DateTimeField(_("ended at"), null=True)
    error = models.CharField(_("error"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("periodic job")
        verbose_name_plural = _("periodic jobs")

    def __str__(self) -> str:
        return self.name
