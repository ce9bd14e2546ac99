"""One open socket: its user, its limits, and how to send to it. Made at the handshake, held by the hub."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from realtime.auth.identity import Identity
from realtime.conf import settings
from realtime.delivery.refusal_texts import translate as translate_refusal
from realtime.delivery.sinks import Sink, say_goodbye
from realtime.protocol.dialects import Dialect
from realtime.protocol.errors import CloseCode, Closed, Refused
from realtime.protocol.frames import encode, make_error
from realtime.protocol.limits import ErrorBudget, Quota
from realtime.protocol.outgoing import Announcement, Frame, translate_all
from realtime.protocol.streams import Subscriptions

MOST_HELD = 1_000  # announcements that wait for the greeting of one socket


class Connection:
    """One open socket. It belongs to one event loop."""

    __slots__ = (
        "__weakref__",
        "closing",
        "counted",
        "dialect",
        "end_timer",
        "errors",
        "expires_at",
        "fast_write",
        "heard_at",
        "held",
        "home",
        "id",
        "is_warned",
        "issued_at",
        "language",
        "login",
        "name",
        "password",
        "pending",
        "quota",
        "session_id",
        "session_key",
        "settled",
        "sink",
        "subscriptions",
        "user_id",
        "user_key",
    )

    def __init__(self, id: str, identity: Identity, sink: Sink, language: str = "en") -> None:
        self.id = id
        # As in frames: a JSON number if the primary key is a number.
        self.user_id = identity.user_id
        self.user_key = identity.key
        self.name = identity.name
        # If this login ends, the socket is closed; "" for none. Changed by the registry, which finds sockets by it.
        self.login = identity.login
        # When its token was issued, if that does not name its login, as Unix time; else 0.
        self.issued_at = identity.issued_at
        # Of Django's session, which is read again before the socket ends; "" if there is none to read. It is a secret.
        self.session_key = identity.session_key
        # `mark_password` of the user's password at the last look-up, for the recheck.
        self.password = identity.password
        self.expires_at = identity.expires_at  # Unix time in seconds; None if it never expires
        self.sink = sink
        # The language of the texts that the client gets. The string is shared by all sockets of that language.
        self.language = language
        # None also until the greeting, while the peer reads too slowly, and after the close.
        self.fast_write: Callable[[bytes], None] | None = sink.fast_write
        self.heard_at = time.monotonic()  # when the client last sent a frame
        self.subscriptions = Subscriptions()
        self.pending = 0  # messages that are being stored
        self.settled: asyncio.Future[None] | None = None  # set while a batch waits for them
        # Shared by all sockets of the user; set when the connection is registered.
        self.quota: Quota | None = None
        self.errors: ErrorBudget | None = None  # set by the first bad frame
        self.end_timer: asyncio.TimerHandle | None = None  # set when the end of the token is near
        self.is_warned = False  # whether it has got an `auth_expiring`
        # No frame may come before the greeting. Until it has been sent, this holds the announcements of who comes and
        # goes: the greeting's count may not contain them yet. None afterwards.
        self.held: list[Announcement] | None = None
        # The client's count of users contains the changes up to this version. It is told of later ones.
        self.counted = 0
        # The id with which the client can resume the streams of this socket. Set just before the greeting.
        self.session_id = ""
        self.closing = False  # nothing may be sent any more
        self.dialect: Dialect | None = None  # set on a socket that does not use the protocol's own frames
        # If the right to this stream ends, the socket is closed, because it has no other purpose. "" for none.
        self.home = ""

    def hold(self) -> None:
        """Send nothing until the greeting: the hub sends announcements to a connection once it is registered."""
        self.held = []
        self.fast_write = None

    def greet(self, payload: bytes, counted: int = 0) -> None:
        """Send the greeting, which is the first frame. Its count of users contains the changes up to `counted`."""
        held, self.held, self.counted = self.held or (), None, counted
        self.heard_at = time.monotonic()  # nothing was expected of the client before
        self.on_pause(False)
        self.send_all((Frame(payload, alone=True),))
        if later := [frame for frame in held if frame.version > counted]:
            self.send_all(later)

    def send(self, payload: bytes) -> None:
        """Send one frame to this socket alone."""
        self.send_all((Frame(payload),))

    def send_all(self, frames: Sequence[Frame]) -> None:
        """Send frames in order. If too much is waiting already, drop the droppable ones, or close the connection."""
        if self.closing or self.held is not None:
            if self.held is not None and not self.is_crowded:
                self.held += [frame for frame in frames if isinstance(frame, Announcement)]
            return
        if self.dialect is not None:
            frames = translate_all(frames, self.dialect.translate)
        queued = self.sink.queued_bytes()
        if queued:
            limit = settings().max_queued_bytes
            if queued > limit:
                self.close(Closed(CloseCode.SLOW_CONSUMER, "SLOW_CONSUMER"))
                return
            if queued > limit // 4:
                frames = [frame for frame in frames if not frame.droppable]
        if frames:
            self.sink.send(frames)

    @property
    def is_crowded(self) -> bool:
        """Whether so much is waiting that droppable frames are dropped."""
        if self.held is not None:
            return len(self.held) >= MOST_HELD
        return self.fast_write is None and self.sink.queued_bytes() > settings().max_queued_bytes // 4

    def refuse(self, refusal: Refused, id: str | None = None, **more: Any) -> None:
        """Send an `error` in the client's language; `id` is that of the refused command."""
        self.send(encode(make_error(refusal, translate_refusal(refusal, self.language), id, **more)))

    def on_pause(self, full: bool) -> None:
        """The transport is full, or has room again. While it is full, each write checks how many bytes are waiting."""
        self.fast_write = None if full or self.closing else self.sink.fast_write

    def close(self, why: Closed) -> None:
        """Send the reason in a `disconnect` frame, and close. Does nothing the second time."""
        if self.closing:
            return
        self.closing = True
        self.fast_write = None
        say_goodbye(self.sink, why)
