"""The table of what staff send: one notification for some or for all users. Used by `dispatching` and the admin."""

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from notifications.models.base import Table
from notifications.texts import distinct_label_of
from notifications.types import KEY_CHARS, find_type


class Dispatch(Table):
    """A notification that staff send. Who got it is known by the key that its notifications have against repeats."""

    class State(models.TextChoices):
        SENDING = "sending", _("being sent")
        SENT = "sent", _("sent")
        STOPPED = "stopped", _("stopped")
        FAILED = "failed", _("failed")
        WITHDRAWING = "withdrawing", _("being withdrawn")
        NOT_WITHDRAWN = "not_withdrawn", _("could not be withdrawn")
        WITHDRAWN = "withdrawn", _("withdrawn")

    class Audience(models.TextChoices):
        PEOPLE = "people", _("People whom you name")
        GROUPS = "groups", _("Members of groups")
        EVERYONE = "everyone", _("Everyone")

    state = models.CharField(_("state"), max_length=16, choices=State.choices, default=State.SENDING, editable=False)
    type = models.CharField(_("type"), max_length=KEY_CHARS)
    params = models.JSONField(_("parameters"), default=dict, blank=True)
    data = models.JSONField(_("data"), default=dict, blank=True)
    link = models.CharField(_("link"), max_length=500, blank=True)
    # These replace the type's texts, unless the title is empty and the message is null.
    title = models.CharField(_("title"), max_length=255, blank=True)
    message = models.TextField(_("message"), null=True, blank=True)  # noqa: DJ001 -- an empty text is a text
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("actor")
    )

    audience = models.CharField(_("audience"), max_length=16, choices=Audience.choices)
    groups = models.ManyToManyField(Group, related_name="+", blank=True, verbose_name=_("groups"))
    # Of the form: when it is sent twice, the second one finds what the first one has made.
    form_key = models.CharField(max_length=255, unique=True, editable=False)

    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("created by")
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    ended_at = models.DateTimeField(_("ended at"), null=True, editable=False)
    # How many users it was for when it was sent; how many have had their turn, and of those, how many got it.
    total = models.PositiveBigIntegerField(_("recipients"), default=0, editable=False)
    passed = models.PositiveBigIntegerField(default=0, editable=False)
    stored = models.PositiveBigIntegerField(_("stored"), default=0, editable=False)
    # The primary key of the last user who had their turn, as text; empty before the first.
    position = models.CharField(max_length=255, blank=True, editable=False)
    error = models.CharField(_("error"), max_length=500, blank=True, editable=False)

    class Meta:
        verbose_name = _("notification sent by staff")
        verbose_name_plural = _("notifications sent by staff")
        ordering = ["-id"]
        # Who may send and withdraw notifications may do so with these.
        default_permissions = ("view",)

    def __str__(self) -> str:
        kind = find_type(self.type)
        return self.title or (distinct_label_of(kind) if kind else self.type)

    @property
    def dedupe_key(self) -> str:
        return f"dispatch.{self.pk}"
