"""Pages of a list of notifications, bounded by number and by size. Synchronous. Called by the view of the inbox."""

from typing import Any

import msgspec

from notifications import inbox, pushing
from notifications.frames import Counts, Item
from notifications.inbox import Filters, Place
from notifications.models import Notification
from realtime.protocol.frames import Text

PAGE_BYTES = 256 * 1024  # of JSON in one page, which has one notification at least
READ_AT_ONCE = 50  # rows


class InboxPage(msgspec.Struct, frozen=True):
    """Notifications, newest first, in the language of the request. `next` is null on the last page."""

    notifications: list[Item]
    next: Text | None
    # The place of the first one; null if there is none.
    newest: Text | None
    counts: Counts


def read(user_id: Any, filters: Filters, before: Place | None, limit: int) -> InboxPage:
    rows, items, has_more = _collect(user_id, filters, before, limit)
    return InboxPage(
        notifications=items,
        next=str(Place.of(rows[-1])) if has_more else None,
        newest=str(Place.of(rows[0])) if rows else None,
        counts=inbox.counts(user_id),
    )


def _collect(
    user_id: Any, filters: Filters, before: Place | None, limit: int
) -> tuple[list[Notification], list[Item], bool]:
    """The rows of a page, with what clients see of them, and whether more follow."""
    rows: list[Notification] = []
    items: list[Item] = []
    size = 0
    while True:
        wanted = min(READ_AT_ONCE, limit - len(rows))
        found = inbox.page(user_id, filters, before, wanted)
        for row in found[:wanted]:
            item = pushing.item(row)
            size += len(msgspec.json.encode(item))
            if rows and size > PAGE_BYTES:
                return rows, items, True
            rows.append(row)
            items.append(item)
        if len(found) <= wanted or len(rows) == limit:
            return rows, items, len(found) > wanted
        before = Place.of(rows[-1])
