"""The tables of notifications: what was sent to whom, and what they did with it. Used by all modules of the app."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from notifications import clock
from notifications.links import is_safe
from notifications.models.base import Table
from notifications.texts import Rendered, render_own
from notifications.types import KEY_CHARS
from realtime.integration import ExactQuerySet

# What `Q` calls the inbox: neither archived nor snoozed nor deleted.
IN_INBOX = {"archived_at__isnull": True, "snoozed_until__isnull": True, "deleted_at__isnull": True}


def validate_link(link: str) -> None:
    """Raises ValidationError for a link that clients must not follow."""
    if not is_safe(link):
        raise ValidationError(_("Enter a path such as /users/1, or an address with http, https or mailto."), "unsafe")


class NotificationQuerySet(ExactQuerySet["Notification"]):
    def existing(self) -> "NotificationQuerySet":
        """Neither deleted by the reader nor expired."""
        return self.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=clock.now()), deleted_at__isnull=True)

    def locked(self) -> "NotificationQuerySet":
        """For update, in the order in which everybody locks rows of several readers, so that none waits for another."""
        return self.select_for_update(of=("self",)).order_by("recipient_id", "pk")

    def in_inbox(self) -> "NotificationQuerySet":
        return self.existing().filter(**IN_INBOX)

    def unread(self) -> "NotificationQuerySet":
        return self.filter(read_at__isnull=True)

    def unseen(self) -> "NotificationQuerySet":
        """What is read has been seen, so these are among the unread ones, whose index has them."""
        return self.filter(seen_at__isnull=True, read_at__isnull=True)


class Notification(Table):
    """A notification of one user. Its text is its type with parameters, and is rendered in the reader's language."""

    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="+",
        db_index=False,  # other indexes begin with it
        verbose_name=_("recipient"),
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,  # most notifications of some sites have none
        verbose_name=_("actor"),
        help_text=_("The user who caused the notification, such as the follower or the author of a comment."),
    )
    type = models.CharField(_("type"), max_length=KEY_CHARS)
    # Of the type's templates. `actor` is the name that the actor had.
    params = models.JSONField(_("parameters"), default=dict, blank=True)
    # These replace the type's texts, unless the title is empty and the message is null.
    title = models.CharField(_("title"), max_length=255, blank=True)
    message = models.TextField(_("message"), null=True, blank=True)  # noqa: DJ001 -- an empty text is a text
    data = models.JSONField(_("data"), default=dict, blank=True, help_text=_("A JSON object for clients."))
    link = models.CharField(
        _("link"),
        max_length=500,
        blank=True,
        validators=[validate_link],
        help_text=_("Where the notification leads: a path, or an address with http, https or mailto."),
    )
    target_type = models.ForeignKey(
        ContentType, models.CASCADE, null=True, blank=True, related_name="+", db_index=False, verbose_name=_("about")
    )
    target_key = models.CharField(_("key of the object"), max_length=255, blank=True)
    reason = models.CharField(
        _("reason"), max_length=64, blank=True, help_text=_("Why this reader gets it, such as “mentioned”.")
    )
    silent = models.BooleanField(
        _("silent"), default=False, help_text=_("It is stored and counted, and nothing is pushed or mailed.")
    )

    # A second notification with the same key is not stored.
    dedupe_key = models.CharField(_("key against repeats"), max_length=255, blank=True)
    # Notifications of one type with the same key become one, as long as it is open for more.
    group_key = models.CharField(_("group"), max_length=255, blank=True)
    group_open = models.BooleanField(_("open for more"), default=False, editable=False)
    group_count = models.PositiveIntegerField(_("people"), default=1, editable=False)
    # The last three of them: [{"user_id": …, "name": …}, …], the newest first.
    group_actors = models.JSONField(_("last people"), default=list, blank=True, editable=False)
    # How often it was to be pushed since `burst_at`, as far as that is within a minute: for the limit of pushes.
    burst = models.PositiveIntegerField(default=1, editable=False)
    burst_at = models.DateTimeField(null=True, editable=False)

    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    # Its place in lists: when it was created, when its group last grew, or when it came back from a snooze.
    arrived_at = models.DateTimeField(_("arrived at"), default=timezone.now, editable=False)
    seen_at = models.DateTimeField(_("seen at"), null=True, blank=True, editable=False)
    read_at = models.DateTimeField(_("read at"), null=True, blank=True, editable=False)
    archived_at = models.DateTimeField(_("archived at"), null=True, blank=True, editable=False)
    # Set until the moment has come and the notification has been brought back.
    snoozed_until = models.DateTimeField(_("snoozed until"), null=True, blank=True, editable=False)
    # By its reader. The row is kept for as long as this can be undone.
    deleted_at = models.DateTimeField(_("deleted at"), null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    # The key of the action that the reader has taken.
    action = models.CharField(_("action"), max_length=KEY_CHARS, blank=True, editable=False)
    acted_at = models.DateTimeField(_("acted at"), null=True, blank=True, editable=False)
    # The rule that has kept it from being pushed, and until a summary tells the reader of it, when that will be.
    withheld_by = models.CharField(_("not pushed because of"), max_length=16, blank=True, editable=False)
    withheld_until = models.DateTimeField(_("withheld until"), null=True, editable=False)
    # When a summary last told the reader of it.
    told_at = models.DateTimeField(_("told in a summary at"), null=True, editable=False)
    # The rule that has let it be pushed, if it was; empty if that was not noted.
    pushed_by = models.CharField(max_length=16, blank=True, editable=False)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        ordering = ["-id"]
        permissions = [
            ("send_notification", "Can send notification"),
            ("export_notification", "Can export notification"),
        ]
        # Names of indexes are shared by all tables of a database, so they begin as no name of the site does.
        # Every act writes a new entry into each index that has the row, a hundred thousand of them if all is marked as
        # read. So what is rare has a partial index, one serves both counts, and none has `created_at` (see `ages`).
        indexes = [
            # In ascending order, and read backwards: what arrives goes to the end of its reader's part.
            models.Index(name="realtime_notifications_list", fields=["recipient", "arrived_at", "id"]),
            # What is read has been seen, so what is unseen is among what is unread.
            models.Index(
                name="realtime_notifications_unread",
                fields=["recipient", "seen_at"],
                condition=Q(read_at__isnull=True, **IN_INBOX),
            ),
            models.Index(name="realtime_notifications_actor", fields=["actor"], condition=Q(actor__isnull=False)),
            models.Index(
                name="realtime_notifications_snoozed",
                fields=["snoozed_until"],
                condition=Q(snoozed_until__isnull=False),
            ),
            models.Index(
                name="realtime_notifications_waiting",
                fields=["withheld_until"],
                condition=Q(withheld_until__isnull=False),
            ),
            models.Index(
                name="realtime_notifications_expires", fields=["expires_at"], condition=Q(expires_at__isnull=False)
            ),
            models.Index(
                name="realtime_notifications_deleted", fields=["deleted_at"], condition=Q(deleted_at__isnull=False)
            ),
            models.Index(
                name="realtime_notifications_target",
                fields=["target_type", "target_key"],
                condition=Q(target_type__isnull=False),
            ),
            models.Index(name="realtime_notifications_group", fields=["group_key"], condition=~Q(group_key="")),
        ]
        constraints = [
            # The key comes first, because `withdraw` asks for it alone.
            models.UniqueConstraint(
                name="realtime_notifications_once", fields=["dedupe_key", "recipient"], condition=~Q(dedupe_key="")
            ),
            models.UniqueConstraint(
                name="realtime_notifications_one_group",
                fields=["recipient", "group_key", "type"],
                condition=Q(group_open=True),
            ),
        ]

    def __str__(self) -> str:
        return self.render().title

    def render(self) -> Rendered:
        """Its texts in the active language: `title`, `message`, and the labels of its `actions`."""
        return render_own(self)

    @property
    def is_read(self) -> bool:
        return self.read_at is not None

    def is_waiting(self, now: datetime) -> bool:
        """Whether it is unread in the inbox: what is still worth a summary or a mail."""
        is_over = self.expires_at is not None and self.expires_at <= now
        moments = (self.read_at, self.archived_at, self.snoozed_until, self.deleted_at)
        return not is_over and all(moment is None for moment in moments)


class GroupMember(Table):
    """What is counted in a group: a person, with each key under which they are in it, so that nothing counts twice."""

    notification = models.ForeignKey(Notification, models.CASCADE, related_name="+", db_index=False)
    # The primary key of the user as text: it is kept when the user is deleted, so that the count stays right. Empty if
    # nobody has caused it: then it is there for the key alone.
    person = models.CharField(max_length=255)
    dedupe_key = models.CharField(max_length=255, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="realtime_notifications_one_member", fields=["notification", "person", "dedupe_key"]
            ),
            # The key comes first, because `withdraw` asks for it alone.
            models.UniqueConstraint(
                name="realtime_notifications_member_once",
                fields=["dedupe_key", "notification"],
                condition=~Q(dedupe_key=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.notification_id}: {self.person}"


class Change(Table):
    """What an act of a reader has overwritten, so that it can be undone: one value of one notification."""

    notification = models.ForeignKey(Notification, models.CASCADE, related_name="+", db_index=False)
    # The moment of the act, which identifies it among those of one reader.
    at = models.DateTimeField(db_index=True)
    field = models.CharField(max_length=20)
    before: Any = models.DateTimeField(null=True)
    # Of `group_open`: set if the act that has closed the group was undone while something else kept it closed.
    after: Any = models.DateTimeField(null=True)

    class Meta:
        """Its own: the options of the base would be in a migration."""

        # Of both: where the database does not know yet that an act has changed very many, it would look for one of them
        # among all of that moment.
        indexes = [models.Index(name="realtime_notifications_changes", fields=["notification", "at"])]

    def __str__(self) -> str:
        return f"{self.notification_id}: {self.field}"
