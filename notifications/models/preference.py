"""The tables of what readers have chosen: when and how they want to hear of notifications. Used by `preferences`."""

from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import EMPTY_VALUES, MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from notifications.models.base import Table, validate_moment
from notifications.preferences.quiet import zone_names
from notifications.preferences.spans import read_quiet_hours
from notifications.types import CHANNEL_NAMES, KEY_CHARS
from realtime.integration import name_related

MOST_AWAY_MINUTES = 10_080  # a week
ADDRESS_CHARS = 254


def validate_zone(name: str) -> None:
    if name not in zone_names():
        raise ValidationError(_("Enter a time zone such as Europe/Berlin."), "unknown")


def validate_quiet_hours(value: Any) -> None:
    try:
        read_quiet_hours(value)
    except ValueError as error:
        # A form has words of its own for a value that is `invalid`.
        raise ValidationError(_("These are no quiet hours: %(error)s"), "no_quiet_hours", {"error": error}) from error


class Digest(models.TextChoices):
    OFF = "off", _("Each by itself")
    HOURLY = "hourly", _("Once an hour")
    DAILY = "daily", _("Once a day")
    WEEKLY = "weekly", _("Once a week")


class Reader(Table):
    """What a user has chosen for all notifications. A user without a row has chosen nothing."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+", verbose_name=_("user")
    )
    socket = models.BooleanField(_("push"), default=True)
    mail = models.BooleanField(_("mail"), default=True)
    web_push = models.BooleanField(_("web push"), default=False)
    muted_until = models.DateTimeField(_("muted until"), null=True, blank=True, validators=[validate_moment])
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        blank=True,
        validators=[validate_zone],
        help_text=_("For quiet hours and digests; that of the site if empty."),
    )
    # [{"days": [1, 2], "start": "22:00", "end": "07:00"}, …]; 1 is Monday.
    quiet_hours = models.JSONField(_("quiet hours"), default=list, blank=True, validators=[validate_quiet_hours])
    digest = models.CharField(_("digest"), max_length=8, choices=Digest.choices, default=Digest.OFF)
    digest_hour = models.PositiveSmallIntegerField(
        _("hour of the digest"), default=8, validators=[MaxValueValidator(23)]
    )
    digest_weekday = models.PositiveSmallIntegerField(
        _("weekday of the digest"), default=1, validators=[MinValueValidator(1), MaxValueValidator(7)]
    )
    away_minutes = models.PositiveIntegerField(
        _("away after minutes"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(MOST_AWAY_MINUTES)],
        help_text=_("How long the reader is away before a mail is sent; as the site has it if empty."),
    )
    # Not chosen, but known of the reader's mails: when the last one was sent, and the address that did not take one.
    mailed_at = models.DateTimeField(_("last mail"), null=True, editable=False)
    bounced_address = models.CharField(_("address that refuses mails"), max_length=ADDRESS_CHARS, blank=True)

    class Meta:
        verbose_name = _("reader")
        verbose_name_plural = _("readers")
        constraints = [
            models.CheckConstraint(name="realtime_notifications_digest_hour", condition=Q(digest_hour__lte=23)),
            models.CheckConstraint(
                name="realtime_notifications_digest_weekday", condition=Q(digest_weekday__range=(1, 7))
            ),
        ]

    def __str__(self) -> str:
        return name_related(self, "user")

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """An empty field of a form is None, which Django passes without a look, and which cannot be stored."""
        if self.quiet_hours in EMPTY_VALUES:
            self.quiet_hours = []
        super().clean_fields(exclude)


class Preference(Table):
    """What a user has chosen for one type or category of notifications, on one channel."""

    class Scope(models.TextChoices):
        TYPE = "type", _("type")
        CATEGORY = "category", _("category")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False, verbose_name=_("user")
    )
    scope = models.CharField(_("scope"), max_length=8, choices=Scope.choices)
    key = models.CharField(_("key"), max_length=KEY_CHARS)
    channel = models.CharField(_("channel"), max_length=16, choices=list(CHANNEL_NAMES.items()))
    enabled = models.BooleanField(_("on"))

    class Meta:
        verbose_name = _("preference")
        verbose_name_plural = _("preferences")
        constraints = [
            models.UniqueConstraint(
                name="realtime_notifications_one_choice", fields=["user", "scope", "key", "channel"]
            )
        ]

    def __str__(self) -> str:
        return f"{name_related(self, 'user')}: {self.get_scope_display()} {self.key}, {self.get_channel_display()}"
