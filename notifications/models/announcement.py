"""The tables of announcements: one row for all readers, its texts, and what readers did with it.

Used by `announcements` and the admin.
"""

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.validators import MaxLengthValidator, ProhibitNullCharactersValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import get_language, get_language_info
from django.utils.translation import gettext_lazy as _

from notifications.models.base import Table, validate_moment
from notifications.models.notification import validate_link
from notifications.types import KEY_CHARS, LEVELS

# Audiences that every site has. Sites register others; the column has their keys.
EVERYONE, GROUPS, ONLINE = "everyone", "groups", "online"
# With ten languages it still fits into a frame.
MESSAGE_CHARS = 10_000

LEVEL_NAMES = {"info": _("info"), "success": _("success"), "warning": _("warning"), "error": _("error")}


class Announcement(Table):
    """Something that staff say to many readers at once."""

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        SCHEDULED = "scheduled", _("scheduled")
        LIVE = "live", _("live")
        ENDED = "ended", _("ended")
        CANCELLED = "cancelled", _("cancelled")

    class Closing(models.TextChoices):
        DISMISS = "dismiss", _("Readers can dismiss it")
        CONFIRM = "confirm", _("Readers must confirm it")
        STAY = "stay", _("It stays until it ends")

    state = models.CharField(_("state"), max_length=16, choices=State.choices, default=State.DRAFT, editable=False)
    level = models.CharField(
        _("level"), max_length=16, choices=[(level, LEVEL_NAMES[level]) for level in LEVELS], default="info"
    )
    link = models.CharField(
        _("link"),
        max_length=500,
        blank=True,
        validators=[validate_link],
        help_text=_("Where the announcement leads: a path, or an address with http, https or mailto."),
    )
    closing = models.CharField(_("closing"), max_length=16, choices=Closing.choices, default=Closing.DISMISS)
    # One of those above, or the key of an audience that the site registers.
    audience = models.CharField(_("audience"), max_length=KEY_CHARS, default=EVERYONE)
    groups = models.ManyToManyField(Group, related_name="+", blank=True, verbose_name=_("groups"))
    # The primary keys of those who were online when it went live, for that audience: {"1": 1, "7": 1}. They are in
    # this row, so an announcement is one row whatever its audience is.
    online = models.JSONField(default=dict, editable=False)
    for_newer = models.BooleanField(
        _("also for later users"),
        default=False,
        help_text=_("Users who join after it went live see it, too."),
    )
    starts_at = models.DateTimeField(
        _("goes live"),
        null=True,
        blank=True,
        validators=[validate_moment],
        help_text=_("Leave it empty to go live when it is published."),
    )
    ends_at = models.DateTimeField(
        _("ends"),
        null=True,
        blank=True,
        validators=[validate_moment],
        help_text=_("Leave it empty to end it by cancelling it."),
    )
    # A second announcement with the same key is not stored.
    dedupe_key = models.CharField(_("key against repeats"), max_length=255, blank=True, editable=False)

    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("created by"),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    # When it went live, when readers were last shown something else, and when it was over.
    live_at = models.DateTimeField(_("live since"), null=True, blank=True, editable=False)
    changed_at = models.DateTimeField(_("changed at"), null=True, blank=True, editable=False)
    over_at = models.DateTimeField(_("over since"), null=True, blank=True, editable=False)
    # The size of the audience when it went live; None until it has been counted. Who got it is not known before they
    # have seen it.
    reached = models.PositiveBigIntegerField(_("users it is for"), null=True, blank=True, editable=False)
    # How many readers had seen, read and confirmed it, of those whose rows have been deleted since.
    past_seen = models.PositiveBigIntegerField(default=0, editable=False)
    past_read = models.PositiveBigIntegerField(default=0, editable=False)
    past_confirmed = models.PositiveBigIntegerField(default=0, editable=False)

    class Meta:
        verbose_name = _("announcement")
        verbose_name_plural = _("announcements")
        ordering = ["-id"]
        permissions = [
            ("publish_announcement", "Can publish announcement"),
            ("cancel_announcement", "Can cancel announcement"),
        ]
        indexes = [
            models.Index(name="realtime_notifications_live", fields=["-live_at", "-id"], condition=Q(state="live")),
            models.Index(name="realtime_notifications_due", fields=["starts_at"], condition=Q(state="scheduled")),
        ]
        constraints = [
            models.UniqueConstraint(
                name="realtime_notifications_announced_once", fields=["dedupe_key"], condition=~Q(dedupe_key="")
            ),
            models.CheckConstraint(
                name="realtime_notifications_ends_after_start",
                condition=Q(starts_at__isnull=True) | Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")),
                violation_error_message=_("It must end after it goes live."),
            ),
        ]

    def __str__(self) -> str:
        titles = {text.language: text.title for text in self.texts.all()} if self.pk else {}
        language = (get_language() or "").lower()
        return titles.get(language) or next(iter(titles.values()), f"{capfirst(self._meta.verbose_name)} {self.pk}")

    @property
    def is_live(self) -> bool:
        return self.state == self.State.LIVE


class AnnouncementText(Table):
    """What an announcement says in one language. It is plain text."""

    announcement = models.ForeignKey(
        Announcement, models.CASCADE, related_name="texts", db_index=False, verbose_name=_("announcement")
    )
    language = models.CharField(_("language"), max_length=35)
    title = models.CharField(_("title"), max_length=255, validators=[ProhibitNullCharactersValidator()])
    message = models.TextField(
        _("message"),
        max_length=MESSAGE_CHARS,
        blank=True,
        validators=[MaxLengthValidator(MESSAGE_CHARS), ProhibitNullCharactersValidator()],
    )

    class Meta:
        verbose_name = _("text")
        verbose_name_plural = _("texts")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(name="realtime_notifications_one_text", fields=["announcement", "language"])
        ]

    def __str__(self) -> str:
        try:
            return str(get_language_info(self.language)["name_translated"])
        except KeyError:  # a language of the site's own
            return self.language


class AnnouncementState(Table):
    """What one reader did with an announcement. There is no row for readers who did nothing."""

    announcement = models.ForeignKey(
        Announcement, models.CASCADE, related_name="states", db_index=False, verbose_name=_("announcement")
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    seen_at = models.DateTimeField(_("seen at"), null=True, blank=True, editable=False)
    read_at = models.DateTimeField(_("read at"), null=True, blank=True, editable=False)
    dismissed_at = models.DateTimeField(_("dismissed at"), null=True, blank=True, editable=False)
    confirmed_at = models.DateTimeField(_("confirmed at"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("reader of an announcement")
        verbose_name_plural = _("readers of announcements")
        constraints = [
            models.UniqueConstraint(name="realtime_notifications_one_state", fields=["announcement", "user"])
        ]

    def __str__(self) -> str:
        return f"{self.announcement_id}: {self.user_id}"
