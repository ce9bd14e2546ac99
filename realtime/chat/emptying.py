"""Deletes a room: first what it holds, in portions, and then the row. Synchronous; called by `models.Room`.

Whoever writes to a room needs its row, and all messages of a process wait for a batch that waits. So the row is locked
last, when there is little left to be deleted with it.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from realtime.models import Membership, Message, Room
from realtime.storage import log, numbering
from realtime.storage.deleting import delete_in_portions
from realtime.storage.routed import alias
from realtime.storage.transactions import own_transaction

# How many rows Django has deleted, in all and of each model.
Counts = tuple[int, dict[str, int]]


def delete(rooms: Iterable[Room], using: str, delete_rows: Callable[[], Counts]) -> Counts:
    """`delete_rows` is Django's own deletion of these rooms. A room that has gone meanwhile is left out."""
    if using != alias():  # copies, to which nobody writes
        return delete_rows()
    counts: Counter[str] = Counter()
    keys = [room.pk for room in rooms]
    for room in rooms:
        counts.update(_empty(room))
    with own_transaction():
        # From here on nobody joins or writes.
        if Room.objects.select_for_update().filter(pk__in=keys).order_by("pk").values_list("pk"):
            counts.update(delete_rows()[1])
    return counts.total(), dict(+counts)


def _empty(room: Room) -> dict[str, int]:
    """Delete what the room has at this moment, but not its owners: if this ends half done, they can do it again.

    No signals are sent for members: `on_room_deleted` ends all subscriptions at once. Django would load all rows. The
    few events and messages that are written meanwhile are deleted with the room.
    """
    until, owner = numbering.standings([room.stream])[room.stream]
    if owner == room.pk:  # else it has gone, and these are the events of a later room with its name
        # The oldest first, as the retention does it: what is left of a stream has no holes.
        log.forget_in_portions(room.stream, until)
    messages = Message.objects.filter(room=room.pk, recipient_seq__isnull=True, seq__lte=until)
    members = Membership.objects.filter(room=room.pk).exclude(role=Membership.Role.OWNER)
    return {
        Message._meta.label: delete_in_portions(messages, "seq"),
        Membership._meta.label: delete_in_portions(members, "user_id", raw=True),
    }
