"""Changes what readers have chosen. Synchronous; called by the REST API, by `follows` and by site code."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from notifications import clock, withholding
from notifications.mailing import queue
from notifications.models import Preference, Reader
from notifications.types import CHANNELS
from realtime.integration import call_after_commit, own_transaction, read_user, retry_conflicts

# By key of a type or category, and by channel; None: as if the reader had chosen nothing.
Switches = Mapping[str, Mapping[str, bool | None]]
# Rules of the cascade by which something waits.
DEFERRING = ("mute", "quiet_hours")


@retry_conflicts
def change(user: Any, *, types: Switches | None = None, categories: Switches | None = None, **fields: Any) -> None:
    """Change some of a user's preferences: `fields` are those of `Reader`. What is left out stays.

    What waits because of earlier choices, pushes and mails, is decided again within seconds. Raises TypeError if `user`
    is no user, and for a field that does not exist; ValueError for a channel that does not; ValidationError for a value
    that a field cannot have.
    """
    reader = read_user(user)
    fields = _clean(fields)
    _require_channels(types, categories)
    if not fields and not any((*(types or {}).values(), *(categories or {}).values())):
        return  # what waits need not be locked and decided again
    if fields.get("mail"):
        fields["bounced_address"] = ""  # whoever wants mails again is believed
    with own_transaction():
        Reader.objects.get_or_create(user_id=reader)
        if fields:
            Reader.objects.filter(user_id=reader).update(**fields)
        for scope, switches in ((Preference.Scope.TYPE, types), (Preference.Scope.CATEGORY, categories)):
            for key, channels in (switches or {}).items():
                for channel, enabled in channels.items():
                    _choose({"user_id": reader, "scope": scope, "key": key, "channel": channel}, enabled)
        reconsider(reader, "muted_until" in fields)


def reconsider(reader: Any, has_unmuted: bool) -> None:
    """A reader, by primary key, wants something else now: what waits is decided again by the next jobs.

    So are mails and web pushes that a mute without an end had suppressed, if it has changed. After the commit once
    more: what is committed in between was decided by the earlier choices, and is not found before. What is committed
    later is compared by `routing`.
    """
    _reconsider(reader, has_unmuted)
    call_after_commit(partial(_reconsider, reader, has_unmuted))


@retry_conflicts
def _reconsider(reader: Any, has_unmuted: bool) -> None:
    with own_transaction():
        withholding.reconsider(reader, clock.now())
        queue.reconsider(reader, clock.now())
        if has_unmuted:
            queue.restore_all(reader, clock.now(), ["mute"])


def _clean(fields: dict[str, Any]) -> dict[str, Any]:
    """What would be stored and then ignored, such as a time zone that does not exist, is an error here."""
    known = {field.name for field in Reader._meta.concrete_fields if not field.primary_key}
    if unknown := fields.keys() - known:
        raise TypeError(f"A reader has no {', '.join(sorted(unknown))}. There are: {', '.join(sorted(known))}.")
    if isinstance(until := fields.get("muted_until"), datetime):
        fields["muted_until"] = clock.nearest_as_stored(until)  # the end of the calendar is no end of the mute
    row = Reader(**fields)
    row.clean_fields(exclude={"user", *known} - fields.keys())
    return {name: getattr(row, name) for name in fields}


def _require_channels(*chosen: Switches | None) -> None:
    for switches in chosen:
        for key, channels in (switches or {}).items():
            if unknown := set(channels) - set(CHANNELS):
                raise ValueError(
                    f"The channels of {key!r} are {', '.join(CHANNELS)}, not {', '.join(sorted(unknown))}."
                )


def _choose(choice: dict[str, Any], enabled: bool | None) -> None:
    if enabled is None:
        Preference.objects.filter(**choice).delete()
    else:
        Preference.objects.update_or_create(**choice, defaults={"enabled": enabled})
