"""Signal handlers: when rows change, users' sockets in all processes lose what they have no right to any more.

Connected in `apps.ready()`, so they cover the REST API, the admin and site code. In a transaction they act on commit.
`bulk_create` and `QuerySet.update` send no signals, and `loaddata` counts as silent: call `delivery` as well, or wait
for the recheck.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import router
from django.db.models import Model, QuerySet
from django.db.models.signals import post_delete, post_save, pre_save
from rest_framework_simplejwt.serializers import TokenRefreshSerializer
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken

from realtime.auth import row_tokens, sessions, tokens
from realtime.auth.user_ids import read_user
from realtime.auth.users import has_column
from realtime.delivery import blacklist, publishing
from realtime.models import Membership, Room
from realtime.protocol.streams import user_stream
from realtime.storage import log, numbering, pending

CHANGED = "_realtime_password_changed"  # set on a user during `save`
SHOWN = "_realtime_shown"  # what clients know of a room, set on it during `save`

Handler = Callable[..., None]


def live(handle: Handler) -> Handler:
    """Call the handler for rows that matter to sockets: not for those of a fixture, nor for copies in other databases.

    A fixture (`raw`) may refer to rows that it has not loaded yet, and keeps the numbers and events that it has.
    """

    @wraps(handle)
    def on_signal(sender: type[Model], using: str, raw: bool = False, **kwargs: Any) -> None:
        if not raw and using == router.db_for_write(sender):
            handle(using=using, **kwargs)

    return on_signal


def connect() -> None:
    pre_save.connect(on_membership_saving, sender=Membership, dispatch_uid="realtime.membership_saving")
    post_delete.connect(on_membership_deleted, sender=Membership, dispatch_uid="realtime.membership_deleted")
    pre_save.connect(on_room_saving, sender=Room, dispatch_uid="realtime.room_saving")
    post_save.connect(on_room_saved, sender=Room, dispatch_uid="realtime.room_saved")
    post_delete.connect(on_room_deleted, sender=Room, dispatch_uid="realtime.room_deleted")
    for model in _user_models():
        pre_save.connect(on_user_saving, sender=model, dispatch_uid="realtime.user_saving")
        post_save.connect(on_user_saved, sender=model, dispatch_uid="realtime.user_saved")
        post_delete.connect(on_user_deleted, sender=model, dispatch_uid="realtime.user_deleted")
    user_logged_in.connect(on_logged_in, dispatch_uid="realtime.logged_in")
    user_logged_out.connect(on_logged_out, dispatch_uid="realtime.logged_out")
    for model in row_tokens.known_models():
        post_delete.connect(on_token_row_deleted, sender=model, dispatch_uid="realtime.token_row_deleted")
    tokens.name_logins()
    if tokens.can_revoke():
        # This class marks a rotation as such, because simplejwt does not say why it blacklists a token. If a
        # site's own serializer has another `token_class`, not a RotatedToken, each rotation ends the login.
        TokenRefreshSerializer.token_class = tokens.RotatedToken
        post_save.connect(on_token_blacklisted, sender=BlacklistedToken, dispatch_uid="realtime.token_blacklisted")


def _user_models() -> list[type[Model]]:
    """The user model with its proxies and subclasses: each of them is a sender of its own."""
    return [model for model in apps.get_models() if issubclass(model, get_user_model())]


def on_logged_in(request: Any, **_kwargs: Any) -> None:
    """Name the login of Django's session. Other kinds of login send this signal, too, and have none."""
    if (session := getattr(request, "session", None)) is not None:
        sessions.note_login(session)


def on_logged_out(request: Any, **_kwargs: Any) -> None:
    """End the login of Django's session: close its sockets, and let nothing open new ones.

    Django sends this signal before it flushes the session, so the session is still known.
    """
    session = getattr(request, "session", None)
    # A logout by a token, such as knox's, sends this signal as well, and leaves the session as it is.
    if session is None or not session.session_key or getattr(request, "auth", None) is not None:
        return
    login = sessions.name_login(session, session.session_key)
    session.pop(sessions.LOGIN_KEY, None)  # in case the site goes on with this session
    if tokens.can_revoke():
        # So that its tickets open nothing any more. `on_token_blacklisted` closes the sockets.
        tokens.revoke_login(login)
    else:
        publishing.disconnect_login(login)


@live
def on_membership_saving(instance: Membership, **_kwargs: Any) -> None:
    """A new member has read nothing and missed nothing: what counts as unread is what comes from now on."""
    if instance._state.adding and not instance.last_read_seq:
        stream = instance.room.stream
        instance.last_read_seq = numbering.positions([stream])[stream]


@live
def on_membership_deleted(instance: Membership, origin: Model | QuerySet[Model] | None = None, **_kwargs: Any) -> None:
    model = origin.model if isinstance(origin, QuerySet) else type(origin)
    # When a room or a user is deleted, `on_room_deleted` or `on_user_deleted` announces the end of all its memberships
    # at once, without a query for each.
    if not issubclass(model, (Room, get_user_model())):
        publishing.unsubscribe(instance.user_id, instance.room.stream, instance.room_id)


@live
def on_room_saving(instance: Room, using: str, **_kwargs: Any) -> None:
    """Note what clients know of the room, for `on_room_saved`. Direct rooms have no title, and nobody joins them."""
    if not instance.direct and not instance._state.adding:
        setattr(instance, SHOWN, _find_shown(instance, using))


def _find_shown(room: Room, using: str) -> Room | None:
    """The room as it is stored: `save` may write less than the instance has."""
    return Room.objects.using(using).only("slug", "title", "private").filter(pk=room.pk).first()


@live
def on_room_saved(instance: Room, created: bool, using: str, **_kwargs: Any) -> None:
    """Continue the numbers of an earlier room with the same slug, and forget what was published to it after its end.

    Direct messages are in the streams of their users. If the room existed before and has another title or privacy now,
    the sockets that have joined it get these.
    """
    before = instance.__dict__.pop(SHOWN, None)
    if before is not None:
        now = _find_shown(instance, using)
        if now is not None and (now.title, now.private) != (before.title, before.private):
            publishing.announce_room(now)
    if created and not instance.direct:
        # In this order: `begin` keeps late writers out, unless one of them is at work at this moment.
        numbering.begin(instance.stream, instance.pk)
        # Who gives numbers at this moment may be waiting for this transaction, which has locked the stream.
        pending.forget(instance.stream, skip_locked=True)
        log.forget(instance.stream)


@live
def on_room_deleted(instance: Room, **_kwargs: Any) -> None:
    """Delete the room's events, too: another room may get its slug, and its members must not replay them."""
    pending.forget(instance.stream)
    log.forget(instance.stream)
    publishing.close_stream(instance.stream, instance.pk)


@live
def on_user_saving(instance: Any, using: str, update_fields: Iterable[str] | None = None, **_kwargs: Any) -> None:
    """Note whether this save changes the stored password hash. Costs a query, if the password is saved at all.

    The hash also changes when Django renews it at a login, because the site's hasher has become stronger.
    """
    written = (update_fields is None or "password" in update_fields) and has_column("password")
    changed = False
    if written and not instance._state.adding:
        stored = type(instance)._base_manager.using(using).filter(pk=instance.pk).values_list("password", flat=True)
        changed = stored.first() not in (None, instance.password)
    setattr(instance, CHANGED, changed)


@live
def on_user_saved(instance: Any, created: bool, update_fields: Iterable[str] | None = None, **_kwargs: Any) -> None:
    """Close a user's sockets when the user is disabled, or when the password changes.

    After a change of password, the user must log in again with the new one. But tokens from before the change open new
    sockets, unless the site sets CHECK_REVOKE_TOKEN: see the check realtime.W010. A new user whose key an earlier one
    may have had does not get what was sent to that one after its end.
    """
    changed = instance.__dict__.pop(CHANGED, False)
    key = read_user(instance)
    if created:
        # A row of a subclass may be made for a user who exists already.
        is_new_user = instance._meta.concrete_model is get_user_model()._meta.concrete_model
        if is_new_user and numbering.user_keys_come_back():
            pending.forget(user_stream(key), skip_locked=True)
            log.forget(user_stream(key))
        return
    if (update_fields is None or "is_active" in update_fields) and not getattr(instance, "is_active", True):
        publishing.disable_user(key)
    elif changed:
        publishing.unauthenticate_user(key)


@live
def on_user_deleted(instance: Any, **_kwargs: Any) -> None:
    """Delete the user's events, too: where keys are natural, another user may get the same one."""
    key = read_user(instance)
    pending.forget(user_stream(key))
    log.forget(user_stream(key))
    publishing.disable_user(key)


@live
def on_token_blacklisted(instance: BlacklistedToken, created: bool, **_kwargs: Any) -> None:
    """End the login of a blacklisted refresh token, whoever blacklisted it. A rotation does not end the login."""
    if created and not tokens.is_rotating():
        blacklist.end_login_of(instance)


@live
def on_token_row_deleted(instance: Any, **_kwargs: Any) -> None:
    """Close the sockets of a token that is a row (`auth.row_tokens`)."""
    publishing.disconnect_login(row_tokens.name_login(instance))
