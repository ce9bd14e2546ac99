"""The events of announcements: one for all sockets, whatever the audience. Called by `publishing` and `acts`.

Texts are sent to all sockets only if they are for everyone, and only when it goes live. Else the event says that
something has changed, and the clients load the list, which has what concerns their reader.
"""

from typing import Any

import msgspec

import realtime
from notifications import conf
from notifications.announcements.wording import fallback_of
from notifications.frames import (
    AnnouncementBody,
    AnnouncementChangedBody,
    AnnouncementChangedData,
    AnnouncementData,
    AnnouncementEndedBody,
    AnnouncementEndedData,
    AnnouncementStateData,
    AnnouncementStateFrame,
    AnnouncementWords,
)
from notifications.links import is_safe
from notifications.models import Announcement, AnnouncementState
from realtime.integration import StoreUnavailable, count_online, publish_all, user_stream
from realtime.protocol.frames import encode, format_time, utc_now
from realtime.protocol.streams import SITE

# Nobody has to wait longer than an hour, however many others there are.
LEAST_MS, MOST_MS = 1_000, 3_600_000
# Where it is not known how many ask: those who were away, or all while the presence store does not answer.
USUAL_MS = 60_000
WITH_TEXTS = b'{"type":"announcement",'


def measure_spread() -> int:
    """The milliseconds over which clients spread their requests: the more users are online, the more.

    Asks the presence store: do this before a transaction, which must not wait for the network.
    """
    try:
        online = count_online()
    except (StoreUnavailable, TimeoutError):
        return USUAL_MS
    wanted = 1_000 * online // conf.settings().announcement_requests_per_second
    return min(max(wanted, LEAST_MS), MOST_MS)


def send_texts(announcement: Announcement) -> None:
    """Show it to everyone."""
    publish_all([(SITE, AnnouncementBody(data_of(announcement), utc_now()))])


def without_texts(body: bytes) -> bytes:
    """What a socket gets of an event of the stream `site` that it has missed.

    Its user may be newer than an announcement, and this may be over by now, so its texts are not replayed.
    """
    if not body.startswith(WITH_TEXTS):
        return body
    try:
        missed = msgspec.json.decode(body, type=AnnouncementBody)
    except msgspec.ValidationError:  # a frame of the site's
        return body
    return encode(AnnouncementChangedBody(AnnouncementChangedData(missed.data.id, USUAL_MS)))


def send_change(announcement_id: int, within_ms: int) -> None:
    """Let all clients load their lists."""
    publish_all([(SITE, AnnouncementChangedBody(AnnouncementChangedData(announcement_id, within_ms)))])


def send_end(announcement_id: int) -> None:
    """Let all clients remove it."""
    publish_all([(SITE, AnnouncementEndedBody(AnnouncementEndedData(announcement_id)))])


def send_test(announcement: Announcement, user: Any) -> None:
    """Show it to one user, who tries how it looks."""
    publish_all([(user_stream(user.pk), AnnouncementBody(data_of(announcement, test=True), utc_now()))])


def send_state(user: Any, state: AnnouncementState) -> None:
    """Tell the reader's open sockets what was done on one of them."""
    frame = AnnouncementStateFrame(state_of(state))
    realtime.send_to_user(user.pk, msgspec.to_builtins(frame), durable=False)


def data_of(announcement: Announcement, *, test: bool = False) -> AnnouncementData:
    fallback = fallback_of(announcement)
    return AnnouncementData(
        **base_of(announcement),
        texts=[AnnouncementWords(text.language, text.title, text.message) for text in announcement.texts.all()],
        fallback=fallback.language if fallback else "",
        test=test,
    )


def base_of(announcement: Announcement) -> dict[str, Any]:
    """The values of `frames.AnnouncementBase`. A test of a draft is live from now on."""
    return {
        "id": announcement.pk,
        "level": announcement.level,
        "link": announcement.link if is_safe(announcement.link) else "",
        "closing": announcement.closing,
        "live_at": format_time(announcement.live_at) if announcement.live_at else utc_now(),
        "ends_at": format_time(announcement.ends_at) if announcement.ends_at else None,
    }


def state_of(state: AnnouncementState) -> AnnouncementStateData:
    moments = [state.seen_at, state.read_at, state.dismissed_at, state.confirmed_at]
    return AnnouncementStateData(
        state.announcement_id, *(None if moment is None else format_time(moment) for moment in moments)
    )
