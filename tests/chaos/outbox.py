"""What one client has said and what it was answered (pure): messages wait until they are acked."""

from tests.chaos.account import Frame

MOST = 20  # messages that wait for an ack; a person would stop writing
ANSWER_SECONDS = 25.0  # on a socket over which heartbeats arrive, longer than any outage of a road


class Outbox:
    """`waiting` holds the commands to which an answer is missing, by id, in the order of their making."""

    def __init__(self, violations: list[str]) -> None:
        self.waiting: dict[str, Frame] = {}
        self.acked: dict[str, tuple[int, int]] = {}  # `seq` and message id, by the client's id
        self._violations = violations
        self._sent: dict[str, float] = {}  # when, over the present socket
        self._written = 0

    @property
    def is_full(self) -> bool:
        return len(self.waiting) >= MOST

    def all(self) -> list[Frame]:
        """The messages that are not acked."""
        return [command for command in self.waiting.values() if command["type"] == "message"]

    def add(self, prefix: str, message: Frame) -> Frame:
        """A message with an id of its own, that it keeps however often it is sent."""
        self._written += 1
        return self.ask(f"{prefix}{self._written}", message)

    def ask(self, id: str, command: Frame) -> Frame:
        self.waiting[id] = {**command, "id": id}
        return self.waiting[id]

    def note_sent(self, id: str, moment: float) -> None:
        self._sent[id] = moment

    def forget_sent(self) -> None:
        """The socket has gone; what is no message is asked anew on the next one."""
        self._sent.clear()
        self.waiting = {command["id"]: command for command in self.all()}

    def take_ack(self, id: str, seq: int, message_id: int) -> None:
        before = self.acked.setdefault(id, (seq, message_id))
        if before != (seq, message_id):
            self._violations.append(f"{id} was acked as {before}, and as {(seq, message_id)} again")
        self.take_answer(id)

    def take_answer(self, id: str) -> None:
        self.waiting.pop(id, None)
        self._sent.pop(id, None)

    def take_refusal(self, id: str) -> Frame:
        """The command that is to be sent again."""
        self._sent.pop(id, None)
        return self.waiting[id]

    def require_answers(self, moment: float) -> None:
        """A command with an id is always answered."""
        for id, sent in tuple(self._sent.items()):
            if moment - sent > ANSWER_SECONDS:
                del self._sent[id]
                self._violations.append(f"no answer to {id} in {ANSWER_SECONDS:.0f} s on an open socket")
