"""The protocol that a client relies on: which frames may follow which, and how a socket may end (protocol §5, §6).

The structs of the frames are the server's (`realtime.protocol.frames`); `test_frames_wire` compares them with the
documentation.
"""

from typing import Any

import msgspec
from msgspec import UNSET

from notifications.frames import (
    AnnouncementChangedFrame,
    AnnouncementEndedFrame,
    AnnouncementFrame,
    InboxFrame,
    NotificationEvent,
    NotificationFrame,
    RemovedFrame,
    WaitingFrame,
)
from realtime.protocol.errors import ErrorCode
from realtime.protocol.frames import (
    AnyFrame,
    Batch,
    Chat,
    Connected,
    ConnectedData,
    Disconnect,
    ErrorFrame,
    Joined,
    Left,
    Read,
    Resumed,
    RoomUpdated,
    ServerFrame,
    Subscribed,
    TopicValue,
    Unsubscribed,
    encode,
)
from tests.contract.description import require_described

CLOSES = {
    1007: {"INVALID_DATA"},
    1009: {"FRAME_TOO_LARGE"},
    1011: {"SERVER_ERROR"},
    1012: {"RESTARTING"},
    1013: {"OVERLOADED"},
    4400: {"TOO_MANY_ERRORS"},
    4401: {"UNAUTHENTICATED", "TOKEN_EXPIRED", "AUTH_TIMEOUT"},
    4403: {"KICKED", "USER_DISABLED", "FORBIDDEN"},
    4408: {"HEARTBEAT_TIMEOUT"},
    4409: {"TOO_MANY_CONNECTIONS"},
    4410: {"SESSION_OUTDATED"},
    4413: {"SLOW_CONSUMER"},
    4429: {"RATE_LIMITED"},
}
RECONNECT = {1011, 1012, 1013, 4408, 4409, 4410, 4413, 4429}
# Close codes without a `disconnect` frame: RFC 6455 alone is the reason for them.
PLAIN_CLOSES = {1000, 1002, 1007}
BROKEN = 1006  # no close frame arrived

_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(AnyFrame | NotificationEvent)
_any: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


def check_keys(frame: Any, text: str | bytes) -> None:
    """The frame must not have keys that its type does not know: encoded again, it must equal what was sent.

    It must also be what the description of the sockets says.
    """
    value = _any.decode(text)
    assert _any.decode(encode(frame)) == value, text
    require_described(frame, value)


class Contract:
    """What one socket has received so far. `check` raises for a frame that the protocol does not allow now."""

    def __init__(self) -> None:
        # Stream -> seq of its last event; None before the greeting (`connected`).
        self.positions: dict[str, int] | None = None
        self.goodbye: Disconnect | None = None
        # True on a socket that continues a session: a stream's first event may be older than the greeting's position.
        self.takes_up_session = False
        self.may_break = False  # the server may die
        self.site_types: set[str] = set()  # types of the site's own frames
        # The client may ask for missed events at any moment, even while other frames are on their way to it.
        self.may_go_back = False
        self.asked_topics: set[str] = set()  # the client tried to subscribe to these
        self._begun: set[str] = set()  # streams whose first event has arrived

    def rewind(self, stream: str, seq: int) -> None:
        """The client asks for the events after `seq`."""
        if self.positions is not None:
            self.positions[stream] = seq

    def check(self, text: str | bytes) -> None:
        frame = self.decode(text)
        check_keys(frame, text)
        assert self.goodbye is None, f"after `disconnect`: {text!r}"
        match frame:
            case Connected():
                assert self.positions is None, "a second greeting"
                self.positions = dict(frame.data.streams)
                self.check_streams(frame.data)
            case Disconnect():
                self._check_goodbye(frame)
            case Batch():
                self._check_batch(frame)
            case _:
                assert self.positions is not None, f"before the greeting: {text!r}"
                self._check_position(frame)

    def decode(self, text: str | bytes) -> Any:
        if self.site_types and (frame := _any.decode(text))["type"] in self.site_types:
            return frame
        return _decoder.decode(text)

    def check_streams(self, greeting: ConnectedData) -> None:
        assert f"user.{greeting.user_id}" in greeting.streams

    def _check_batch(self, batch: Batch) -> None:
        for raw in batch.messages:
            assert not isinstance(self.decode(bytes(raw)), Connected | Disconnect | Batch), bytes(raw)
            self.check(bytes(raw))

    def check_close(self, code: int) -> None:
        if code == BROKEN and self.may_break:
            return
        if self.goodbye is not None:
            assert code == self.goodbye.code
        else:
            assert code in PLAIN_CLOSES, f"closed with {code} without a `disconnect`"

    def _check_goodbye(self, frame: Disconnect) -> None:
        assert frame.reason in CLOSES[frame.code], frame
        assert frame.reconnect == (frame.code in RECONNECT), frame
        self.goodbye = frame

    def _check_next(self, stream: str, seq: int) -> None:
        assert self.positions is not None
        if not self.takes_up_session or stream in self._begun:
            next_seq = self.positions.get(stream, seq - 1) + 1
            assert seq == next_seq or (self.may_go_back and seq < next_seq), (stream, seq, self.positions)
        self._begun.add(stream)
        self.positions[stream] = seq

    def _check_place(self, stream: str, frame: Joined | Subscribed) -> None:
        assert self.positions is not None
        # If `recovered` is true, the missed events arrive after this frame.
        if frame.recovered is not True:
            known = frame.seq if frame.recovered is False else self.positions.get(stream, frame.seq)
            assert known == frame.seq or self.may_go_back, (frame, self.positions)
            self.positions[stream] = frame.seq

    def _check_value(self, frame: TopicValue) -> None:
        assert self.positions is not None
        stream = f"topic.{frame.topic}"
        assert stream in self.positions or self.takes_up_session, "of a topic that it is not subscribed to"
        if frame.seq is not UNSET:
            assert frame.stream == stream
            self._check_next(stream, frame.seq)

    def _check_resumed(self, frame: Resumed) -> None:
        assert self.positions is not None
        for stream, outcome in frame.streams.items():
            if outcome.recovered and not (self.takes_up_session or self.may_go_back):
                assert self.positions.get(stream, outcome.seq) == outcome.seq, (frame, self.positions)
            assert (outcome.fetch is not UNSET) <= (not outcome.recovered), frame
            self.positions[stream] = outcome.seq

    def _check_position(self, frame: ServerFrame) -> None:
        assert self.positions is not None
        match frame:
            case (
                Chat()
                | NotificationFrame()
                | AnnouncementFrame()
                | AnnouncementChangedFrame()
                | AnnouncementEndedFrame()
                | InboxFrame()
                | RemovedFrame()
                | WaitingFrame()
            ):
                self._check_event(frame)
            case Joined():
                self._check_place(f"room.{frame.room_id}", frame)
            case Subscribed():
                self._check_place(f"topic.{frame.topic}", frame)
            case Unsubscribed():
                known = self.positions.pop(f"topic.{frame.topic}", None)
                # The right to a topic may end before the subscription that the client asked for is made.
                asked = frame.topic in self.asked_topics and frame.reason == "REMOVED"
                assert known is not None or asked, frame
            case TopicValue():
                self._check_value(frame)
            case Read(data=data):
                of_room = [given is not UNSET for given in (data.room_id, data.seq, data.unread)]
                assert of_room == [data.notification_ids is UNSET] * 3, frame
            case Left():
                self.positions.pop(f"room.{frame.room_id}", None)
            case RoomUpdated(room_id=room):
                assert f"room.{room}" in self.positions, frame
            case Resumed():
                self._check_resumed(frame)
            case ErrorFrame():
                assert frame.error_code is not ErrorCode.MESSAGE_PROCESSING_ERROR, "our fault, which no test may meet"
                assert (frame.error_code == "RATE_LIMITED") == (frame.retry_after_ms is not UNSET), frame
            case _:
                self.check_other(frame)

    def _check_event(self, frame: Any) -> None:
        match frame:
            case Chat():
                addressed = f"room.{frame.data.room_id}" if frame.data.room_id else "user."
                assert frame.stream.startswith(addressed)
                assert bool(frame.data.room_id) != bool(frame.data.to_user_id)
                assert frame.data.from_user_id is not None
                assert frame.data.from_username
            case NotificationFrame():
                assert frame.notification_type == frame.data.type
            case AnnouncementFrame():
                assert frame.stream.startswith("user." if frame.data.test else "site")
                assert frame.data.fallback in {text.language for text in frame.data.texts}
            case AnnouncementChangedFrame() | AnnouncementEndedFrame():
                assert frame.stream == "site"
        self._check_next(frame.stream, frame.seq)

    def check_other(self, frame: Any) -> None:
        """Check a frame of the site, or one that only sockets of another kind may get."""
        if isinstance(frame, dict) and "seq" in frame:
            self._check_next(frame["stream"], frame["seq"])
