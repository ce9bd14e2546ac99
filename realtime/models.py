"""The app's tables: rooms and their members, messages, the log of events, tickets, last seen.

Used by all packages that query the database.
"""

import re
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models, router
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from realtime.protocol.streams import room_stream

SLUG_PATTERN = r"^[a-z0-9_-]{1,64}\Z"
# Checked before a query: a text that is not a slug names no room, and a database may not even accept it.
is_slug = re.compile(SLUG_PATTERN).match


def name_related(instance: models.Model, field: str) -> str:
    """The name of a related object if it is loaded, else `user 1`: a list of many rows must not cost a query each."""
    loaded = instance._state.fields_cache.get(field)
    relation: Any = instance._meta.get_field(field)
    return str(loaded or f"{relation.verbose_name} {getattr(instance, relation.attname)}")


Row = TypeVar("Row", bound=models.Model)


class ExactQuerySet(models.QuerySet[Row]):
    """Reads from the database that is written to, where the site's routers send other reads to a replica."""

    @property
    def db(self) -> str:
        own: Any = self  # the stubs do not have what Django's own property reads
        return own._db or router.db_for_write(self.model, **own._hints)


class ExactModel(models.Model):
    """The base of all tables here. Its manager is also the one by which Django follows relations to them."""

    objects = ExactQuerySet.as_manager()

    class Meta:
        abstract = True
        base_manager_name = "objects"


class RoomQuerySet(ExactQuerySet["Room"]):
    def visible_to(self, user: Any) -> "RoomQuerySet":
        """Public rooms, and private rooms that `user` is a member of; never direct rooms."""
        member = Membership.objects.filter(room=models.OuterRef("pk"), user=user)
        return self.filter(direct=False).filter(Q(private=False) | models.Exists(member))

    def delete(self) -> tuple[int, dict[str, int]]:
        """As `Room.delete`."""
        from realtime.chat import emptying

        own: Any = self  # the stubs do not have what Django's own looks at
        if own.query.is_sliced or own.query.distinct_fields or own.query.combinator or own._fields is not None:
            return super().delete()  # which says what is wrong
        return emptying.delete(list(self), self.db, super().delete)

    # As Django's own: it is no method of the manager, and templates must not call it.
    delete.queryset_only = True  # type: ignore[attr-defined]
    delete.alters_data = True  # type: ignore[attr-defined]


class Room(ExactModel):
    """A room for messages. A direct room holds the direct messages of two users; it is addressed by user id only."""

    slug = models.CharField(
        _("slug"),
        max_length=64,
        unique=True,
        validators=[RegexValidator(SLUG_PATTERN, _("Use 1 to 64 of these characters: a-z 0-9 - _"))],
        help_text=_("The room's id for clients: 1 to 64 of a-z 0-9 - _. It cannot be changed later."),
    )
    title = models.CharField(_("title"), max_length=200, blank=True)
    private = models.BooleanField(_("private"), default=False, help_text=_("Only members can see a private room."))
    direct = models.BooleanField(
        _("direct messages"),
        default=False,
        editable=False,
        help_text=_("Such a room holds what two users write to each other."),
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("created by")
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    objects = RoomQuerySet.as_manager()  # type: ignore[misc]  # the plugin makes it no class variable

    class Meta:
        verbose_name = _("room")
        verbose_name_plural = _("rooms")
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(name="realtime_direct_is_private", condition=Q(direct=False) | Q(private=True)),
        ]
        # There may be a direct room for each pair of users. Lists and counts of the others pass them by.
        indexes = [models.Index(name="realtime_listed_rooms", fields=["slug"], condition=Q(direct=False))]

    def __str__(self) -> str:
        return gettext("Direct messages") if self.direct else self.title or self.slug

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Delete the room with its messages and members, for whom no signals are sent. Returns what Django returns.

        Outside a transaction, what the room has is deleted in portions, so that others can write meanwhile.
        """
        from realtime.chat import emptying

        if self.pk is None:
            return super().delete()  # which says what is wrong
        using = using or router.db_for_write(type(self), instance=self)
        return emptying.delete([self], using, partial(super().delete, using=using, keep_parents=keep_parents))

    delete.alters_data = True  # type: ignore[attr-defined]

    @property
    def stream(self) -> str:
        """The name of the room's stream: `room.<slug>`."""
        return room_stream(self.slug)


class Membership(ExactModel):
    """One user's membership in one room. `last_read_seq` is the `seq` up to which the user has read."""

    class Role(models.TextChoices):
        OWNER = "owner", _("owner")
        MEMBER = "member", _("member")

    room = models.ForeignKey(Room, models.CASCADE, related_name="memberships", verbose_name=_("room"))
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    role = models.CharField(_("role"), max_length=16, choices=Role.choices, default=Role.MEMBER)
    invited = models.BooleanField(
        _("invited"),
        default=False,
        db_default=False,  # for processes of the version before, which go on during an upgrade
        editable=False,
        help_text=_("An owner added the user, who has not opened the room yet. Until then, nobody sees their name."),
    )
    joined_at = models.DateTimeField(_("joined at"), default=timezone.now, editable=False)
    last_read_seq = models.PositiveBigIntegerField(
        _("read up to event"),
        default=0,
        help_text=_("The number of the last event of the room that the user has read."),
    )

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [models.UniqueConstraint(name="realtime_member_once", fields=["room", "user"])]

    def __str__(self) -> str:
        return _("%(user)s in %(room)s") % {
            "user": name_related(self, "user"),
            "room": name_related(self, "room"),
        }


class Message(ExactModel):
    """A stored message. `seq` is that of its event in the room's stream.

    A direct message is an event in two streams: `seq` is the one in the sender's `user.<id>`, `recipient_seq` is the
    one in the recipient's.
    """

    # No foreign key here needs an index of its own, because another index begins with it. Every index makes writing a
    # message slower.
    room = models.ForeignKey(Room, models.CASCADE, related_name="messages", db_index=False, verbose_name=_("room"))
    sender = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        db_index=False,
        verbose_name=_("sender"),
    )
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("recipient"),
    )
    text = models.TextField(_("text"))
    kind = models.CharField(_("kind"), max_length=16, default="text")
    client_id = models.CharField(  # noqa: DJ001 (null is "none")
        _("client id"),
        max_length=64,
        null=True,
        blank=True,
        help_text=_("The id that the sender's client gave to the message."),
    )
    seq = models.PositiveBigIntegerField(
        _("number"),
        help_text=_("The number of the event in the room; of a direct message, among the sender's events."),
    )
    recipient_seq = models.PositiveBigIntegerField(
        _("recipient's number"),
        null=True,
        blank=True,
        help_text=_("The number of a direct message among the recipient's events."),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = [
            models.UniqueConstraint(name="realtime_message_once", fields=["sender", "client_id"]),
            models.UniqueConstraint(
                name="realtime_room_order", fields=["room", "seq"], condition=Q(recipient_seq__isnull=True)
            ),
        ]
        indexes = [
            models.Index(name="realtime_message_place", fields=["room", "sender", "seq"]),
            models.Index(
                name="realtime_direct_received",
                fields=["room", "recipient", "recipient_seq"],
                condition=Q(recipient_seq__isnull=False),
            ),
            # These two find all direct messages of a user by `seq` in the user's own stream. The condition of the
            # second is on `recipient`, so that the index also serves plain look-ups by this foreign key.
            models.Index(
                name="realtime_direct_sent_by", fields=["sender", "seq"], condition=Q(recipient_seq__isnull=False)
            ),
            models.Index(
                name="realtime_direct_sent_to",
                fields=["recipient", "recipient_seq"],
                condition=Q(recipient__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        if self.recipient_seq is not None:
            return _("Direct message %(id)s") % {"id": self.pk}
        return _("Message %(number)s in %(room)s") % {"number": self.seq, "room": name_related(self, "room")}


class Stream(ExactModel):
    """An ordered log. `last_seq` is the `seq` of its newest event. The lock of this row orders the writers.

    `room` is the primary key of the room whose events are written; 0 for other streams, and while it is not known.
    """

    name = models.CharField(_("name"), max_length=100, primary_key=True)
    last_seq = models.PositiveBigIntegerField(_("last number"), default=0)
    # With a default of the database's own, because processes of an earlier version do not write it.
    room = models.PositiveBigIntegerField(_("room"), default=0, db_default=0)

    class Meta:
        verbose_name = _("stream")
        verbose_name_plural = _("streams")

    def __str__(self) -> str:
        return self.name


class Event(ExactModel):
    """A stored frame. `body` is the frame's JSON without `stream` and `seq`, which are added when it is sent.

    When site code writes an event in its own transaction, `seq` is null until a short transaction after the commit.
    Where there are many, several share a row until then (`storage/bundles`).
    """

    stream = models.CharField(_("stream"), max_length=100)
    seq = models.PositiveBigIntegerField(_("number"), null=True)
    body = models.TextField(_("body"))
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        constraints = [models.UniqueConstraint(name="realtime_event_order", fields=["stream", "seq"])]
        indexes = [
            models.Index(name="realtime_event_unsequenced", fields=["created_at"], condition=Q(seq__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.stream}, {self.seq}"


class Ticket(ExactModel):
    """A credential that opens one socket, once. Only its digest is stored."""

    digest = models.CharField(_("digest"), max_length=64, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    token_login = models.CharField(_("login"), max_length=64, blank=True)
    token_expires_at = models.DateTimeField(_("token expires at"), null=True)
    # Of an access token that does not name its login, as Unix time; 0 for all others.
    token_issued_at = models.PositiveBigIntegerField(_("token issued at"), default=0, db_default=0)
    password_hash = models.CharField(_("digest of the password"), max_length=32, blank=True, default="", db_default="")
    expires_at = models.DateTimeField(_("expires at"), db_index=True)

    class Meta:
        verbose_name = _("ticket")
        verbose_name_plural = _("tickets")

    def __str__(self) -> str:
        return _("%(user)s, until %(time)s") % {
            "user": name_related(self, "user"),
            "time": f"{self.expires_at:%Y-%m-%d %H:%M:%S}",
        }


class LastSeen(ExactModel):
    """When a user's last socket was closed, or the user began to appear offline. `left_at` is shown to nobody."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+", verbose_name=_("user")
    )
    at = models.DateTimeField(_("at"))
    # When the last socket of a user was closed who appeared offline.
    left_at = models.DateTimeField(_("left unseen at"), null=True, editable=False)

    class Meta:
        verbose_name = _("last seen")
        verbose_name_plural = _("last seen")

    def __str__(self) -> str:
        return f"{name_related(self, 'user')}, {self.at:%Y-%m-%d %H:%M:%S}"


class Live(LastSeen):
    """What is going on at this moment. It has no rows: it stands for a page of the admin and for the rights to it."""

    class Meta:
        proxy = True
        verbose_name = pgettext_lazy("page", "live")
        verbose_name_plural = pgettext_lazy("page", "live")
        default_permissions = ()
        permissions = [
            ("view_live_users", "Can see who is online"),
            ("view_live_processes", "Can see the sockets of each process"),
            ("view_live_rooms", "Can see which rooms are open, also private ones"),
            ("disconnect_user", "Can close all sockets of a user"),
        ]
