"""One open socket, as the rest of the delivery package sees it. Made at the handshake, held by the hub."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from realtime.auth.identity import Identity
from realtime.conf import settings
from realtime.delivery.sinks import Sink, say_goodbye
from realtime.delivery.texts import translate as translate_refusal
from realtime.protocol.dialects import Dialect
from realtime.protocol.errors import CloseCode, Closed, Refused
from realtime.protocol.frames import encode, make_error
from realtime.protocol.limits import ErrorBudget, Quota
from realtime.protocol.outgoing import Frame, translate
from realtime.protocol.streams import Subscriptions


class Connection:
    """One open socket. All of it belongs to one event loop."""

    __slots__ = (
        "__weakref__",
        "closing",
        "dialect",
        "end_timer",
        "errors",
        "expires_at",
        "fast_write",
        "heard_at",
        "held",
        "home",
        "id",
        "language",
        "name",
        "pending",
        "quota",
        "session",
        "session_id",
        "settled",
        "sink",
        "subscriptions",
        "user_id",
        "user_key",
    )

    def __init__(self, id: str, identity: Identity, sink: Sink, language: str = "en") -> None:
        self.id = id
        self.user_id = identity.user_id  # as in frames: a JSON number when the primary key is one
        self.user_key = identity.key
        self.name = identity.name
        self.session = identity.session  # the login whose end closes this socket; "" for none
        self.expires_at = identity.expires_at  # unix time, None for a socket that lasts
        self.sink = sink
        self.language = language  # of the texts that its client gets; one string for all sockets
        self.fast_write: Callable[[bytes], None] | None = (
            sink.fast_write
        )  # None as well while the peer reads too slowly
        self.heard_at = time.monotonic()  # of the last frame from the client
        self.subscriptions = Subscriptions()
        self.pending = 0  # messages that are being stored
        self.settled: asyncio.Future[None] | None = None  # set while a batch waits for them
        self.quota: Quota | None = None  # shared by the user's sockets; set when the connection is registered
        self.errors: ErrorBudget | None = None  # set by the first bad frame
        self.end_timer: asyncio.TimerHandle | None = None  # set when the end of the token is near
        self.held = False  # it has not been greeted yet, and nothing may come before that
        self.session_id = ""  # under which the client may take up what this socket had
        self.closing = False  # a close frame is on its way
        self.dialect: Dialect | None = None  # of a socket that does not speak the protocol's own frames
        self.home = ""  # the stream without which this socket has no purpose

    def hold(self) -> None:
        """Send nothing until the greeting: who is known to the hub is announced to at once."""
        self.held = True
        self.fast_write = None

    def greet(self, payload: bytes) -> None:
        """Send the first frame of all."""
        self.held = False
        self.on_pause(False)
        self.send_all((Frame(payload, alone=True),))

    def send(self, payload: bytes) -> None:
        """Send one frame of this socket alone."""
        self.send_all((Frame(payload),))

    def send_all(self, frames: Sequence[Frame]) -> None:
        """Send frames in order; drop what may be dropped, or close, when too much is waiting already."""
        if self.closing or self.held:
            return
        if self.dialect is not None:
            frames = translate(frames, self.dialect.tell)
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

    def refuse(self, refusal: Refused, id: str | None = None, **more: Any) -> None:
        """Send an `error` in the client's language; `id` is that of the refused command."""
        self.send(encode(make_error(refusal, translate_refusal(refusal, self.language), id, **more)))

    def on_pause(self, full: bool) -> None:
        """The transport is full, and from now on each write looks at what is waiting; or it has room again."""
        self.fast_write = None if full or self.closing else self.sink.fast_write

    def close(self, why: Closed) -> None:
        """Say why in a `disconnect` frame and close. Does nothing the second time."""
        if self.closing:
            return
        self.closing = True
        self.fast_write = None
        say_goodbye(self.sink, why)
