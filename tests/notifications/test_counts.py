"""The counts after whatever has happened to an inbox are what one counts by hand; so is what devices are told."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from notifications import inbox, notify, types, waking, withdraw
from notifications.frames import InboxBody, InboxData
from notifications.inbox import Filters, Place, announcing
from notifications.models import Notification
from notifications.testing import Clock, clock
from realtime.protocol.frames import encode
from tests.notifications.rows import pushed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("expiring")]

SECONDS = 100  # for which one of a type with an end lives
numbers = st.integers(0, 4)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("notify"), numbers),
        st.tuples(st.just("like"), numbers, numbers),
        st.tuples(st.just("expiring"), numbers),
        st.tuples(st.just("act"), st.sampled_from(sorted(inbox.acts.STEPS)), st.lists(numbers, max_size=4)),
        st.tuples(st.just("act on a list"), st.sampled_from(sorted(inbox.acts.STEPS)), numbers),
        st.tuples(st.just("undo"), numbers),
        st.tuples(st.just("action"), numbers),
        st.tuples(st.just("withdraw"), numbers),
        st.tuples(st.just("wake")),
        st.tuples(st.just("move"), st.integers(0, 2 * SECONDS)),
    ),
    max_size=25,
)


class Inbox:
    """What bob and others do, one step after the other."""

    def __init__(self, time: Clock) -> None:
        self.time = time
        self.began = time.now()
        users = get_user_model().objects
        self.reader = users.create_user("reader")
        self.fans = [users.create_user(f"fan{number}") for number in range(3)]
        self.undos: list[str] = []

    def do(self, name: str, *given: Any) -> None:
        getattr(self, name.replace(" ", "_"))(*given)

    def notify(self, number: int) -> None:
        notify([self.reader, self.fans[0]], "mention", message="x", dedupe_key=f"key {number}", silent=number > 3)

    def like(self, number: int, fan: int) -> None:
        notify(self.reader, "new_like", actor=self.fans[fan % 3], group_key=f"like:{number % 3}")

    def expiring(self, number: int) -> None:
        notify(self.reader, "expiring")

    def act(self, name: Any, chosen: list[int]) -> None:
        ids = [pk for number, pk in enumerate(self._ids()) if number in chosen]
        self._note(inbox.act(self.reader.pk, name, ids=ids, until=self._later(name)))

    def act_on_a_list(self, name: Any, number: int) -> None:
        rows = inbox.page(self.reader.pk, Filters(), None, 20)
        if rows:
            place = Place.of(rows[number % len(rows)])
            filters = Filters(box="all" if name.startswith("un") else "inbox")
            outcome = inbox.act(self.reader.pk, name, filters=filters, place=place, until=self._later(name))
            self._note(outcome)

    def undo(self, number: int) -> None:
        if self.undos:
            try:
                inbox.undo(self.reader.pk, self.undos[-1 - number % len(self.undos)])
            except inbox.CannotUndo:
                assert self.time.now() - self.began > timedelta(seconds=inbox.acts.UNDO_SECONDS)

    def action(self, number: int) -> None:
        if ids := self._ids():
            inbox.take_action(self.reader.pk, ids[number % len(ids)], "accept")

    def withdraw(self, number: int) -> None:
        withdraw(**({"dedupe_key": f"key {number}"} if number % 2 else {"group_key": f"like:{number % 3}"}))

    def wake(self) -> None:
        waking.wake(self.time.now())

    def move(self, seconds: int) -> None:
        self.time.move(seconds)

    def count_by_hand(self) -> tuple[int, int]:
        now = self.time.now()
        rows = [
            row
            for row in Notification.objects.filter(recipient=self.reader)
            if not (row.archived_at or row.snoozed_until or row.deleted_at)
            and (row.expires_at is None or row.expires_at > now)
        ]
        return sum(row.read_at is None for row in rows), sum(row.seen_at is None for row in rows)

    def _later(self, name: str) -> Any:
        return self.time.now() + timedelta(seconds=SECONDS) if name == "snooze" else None

    def _ids(self) -> list[int]:
        return list(Notification.objects.filter(recipient=self.reader).order_by("pk").values_list("pk", flat=True))

    def _note(self, outcome: inbox.Outcome) -> None:
        assert bool(outcome.changed) == bool(outcome.undo)
        if outcome.undo:
            self.undos.append(outcome.undo)


@example([("notify", 0), ("act", "seen", [0]), ("act", "read", [0]), ("undo", 1)])
@example([("like", 0, 0), ("act", "seen", [0]), ("like", 0, 1), ("undo", 0)])
@example([("expiring", 0), ("act", "read", [0]), ("move", 2 * SECONDS), ("undo", 0)])
@example([("notify", 0), ("act", "snooze", [0]), ("act", "archive", [0]), ("undo", 1), ("undo", 0)])
@example([("notify", 0), *[("act", name, [0]) for name in ("seen", "read", "unread")], ("undo", 2), ("undo", 0)])
@example(
    [
        ("notify", 0),
        *[("act", name, [0]) for name in ("read", "unread", "snooze")],
        ("move", SECONDS + 1),
        ("wake",),
        ("undo", 1),
    ]
)
@example([("like", 0, 0), ("act", "read", [0]), ("like", 0, 1), ("undo", 0), ("like", 0, 2)])
@given(steps)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_the_counts_are_those_that_one_counts_by_hand(given_steps: Any) -> None:
    with transaction.atomic(), clock() as time:
        own = Inbox(time)
        for step in given_steps:
            before = len(pushed(own.reader))
            own.do(*step)
            unread, unseen = own.count_by_hand()
            counts = inbox.counts(own.reader.pk)
            assert (counts.unread, counts.unseen) == (unread, unseen), step
            assert all(row.seen_at for row in Notification.objects.filter(recipient=own.reader, read_at__isnull=False))
            told = [frame["data"] for frame in pushed(own.reader)[before:] if "unread" in frame.get("data", {})]
            assert all((data["unread"], data["unseen"]) == (unread, unseen) for data in told[-1:]), step
        transaction.set_rollback(True)


@pytest.fixture
def expiring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(types, "_types", dict(types._types))
    types.register("expiring", title="Soon over", message="x", time_to_live=timedelta(seconds=SECONDS))


def test_frames_of_users_who_cannot_be_stay_as_they_are(bob: Any) -> None:
    notify(bob, "mention", message="x")
    body = encode(InboxBody(InboxData(7, 7, "read", None), "2030-01-01T00:00:00.000000Z"))
    names = ["nobody", "01", "99999999999999999999999", "a%40b.c", f"~{'0' * 40}", "", str(bob.pk)]
    found = announcing.recount([(f"user.{name}", body) for name in names])
    assert found[:-1] == [body] * 6
    assert b'"unread":1,' in found[-1]


def test_keys_are_read_from_the_names_of_streams_that_escape_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcing, "read_user", lambda key: key)
    names = ["user.a%40b.c", "user.x-1", f"user.~{'0' * 40}"]
    assert [announcing._reader_of(name) for name in names] == ["a@b.c", "x-1", None]
