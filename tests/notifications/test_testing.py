"""What sites test with: outbox, fake, assertions and a clock."""

import asyncio
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from notifications import anotify, clock, inbox, notify, types
from notifications.models import Notification
from notifications.testing import assert_not_notified, assert_notified, fake, outbox
from notifications.testing import clock as own_clock
from realtime.models import Event
from tests.shop.models import Item

pytestmark = pytest.mark.django_db


def fails(function: Any, *args: Any, **values: Any) -> str:
    with pytest.raises(AssertionError) as failed:
        function(*args, **values)
    return str(failed.value)


# The assertions


def test_outside_of_blocks_what_is_stored_counts(alice: Any, bob: Any) -> None:
    item = Item.objects.create()
    notify(bob, "new_like", actor=alice, data={"post": 17}, link="/posts/17", target=item, reason="author")
    row = assert_notified(bob, "new_like")
    assert row == Notification.objects.get()
    assert_notified(bob.pk, "new_like", post=17, actor=alice, link="/posts/17", target=item, reason="author")
    assert_notified(bob, "new_like", actor="alice", title="New like", message="alice liked your post")
    assert_notified(bob, "new_like", actor=alice.pk)
    assert_not_notified(alice)
    assert_not_notified(bob, "mention")
    for values in (
        {"post": 18},
        {"post": "17"},
        {"actor": bob},
        {"link": ""},
        {"target": None},
        {"title": "x"},
        {"colour": 1},
    ):
        assert_not_notified(bob, "new_like", **values)
        assert fails(assert_notified, bob, "new_like", **values) == (
            f"bob was not notified of 'new_like' {next(iter(values))}={next(iter(values.values()))!r}. They got:"
            "\n  'new_like' actor='alice' post=17"
        )
    assert fails(assert_notified, alice, "new_like").endswith("They got: nothing")
    assert fails(assert_not_notified, bob) == "bob was notified:\n  'new_like' actor='alice' post=17"


def test_values_are_compared_as_they_are_stored(bob: Any) -> None:
    moment = datetime(2030, 1, 31, tzinfo=UTC)
    notify(bob, "order_status_changed", order_id=17, status="sent", data={"at": moment})
    assert_notified(bob, "order_status_changed", order_id=17, at=moment)
    assert_notified(bob, "order_status_changed", at="2030-01-31T00:00:00Z")


def test_values_in_lists_and_tuples(bob: Any) -> None:
    notify(bob, "new_like", message="", data={"posts": [1, 2]})
    assert_notified(bob, "new_like", posts=(1, 2), data={"posts": (1, 2)})
    assert fails(assert_not_notified, bob, "new_like", data={"posts": (1, 2)})


@pytest.mark.parametrize("open_block", [nullcontext, fake, outbox])
def test_a_mistyped_type_is_an_error_and_not_right(bob: Any, open_block: Any) -> None:
    with open_block():
        notify(bob, "new_like", message="")
        with pytest.raises(types.UnknownType, match="new_lik'"):
            assert_not_notified(bob, "new_lik")


# Blocks


def test_an_outbox_lists_what_is_sent_while_it_is_open(alice: Any, bob: Any, carol: Any) -> None:
    notify(bob, "mention", actor=alice)
    with outbox() as sent:
        assert_not_notified(bob)
        notify([bob, carol, alice], "new_like", actor=alice)
        notify(alice, "new_like", actor=alice)  # nobody
        assert_notified(bob, "new_like", actor=alice)
    assert [(one.recipients, one.notification.type) for one in sent] == [([bob.pk, carol.pk], "new_like")]
    assert Notification.objects.count() == 3
    assert_notified(bob, "mention")


def test_who_does_not_get_it_is_not_listed(bob: Any, carol: Any) -> None:
    notify(bob, "mention", message="x", dedupe_key="once")
    with outbox() as sent:
        notify([bob, carol], "mention", message="x", dedupe_key="once")
    assert [one.recipients for one in sent] == [[carol.pk]]


def test_a_fake_stores_and_pushes_nothing(alice: Any, bob: Any) -> None:
    with fake() as sent:
        one = notify(bob, "new_like", actor=alice)
        assert isinstance(one, Notification)
        assert (one.pk, one.recipient_id, one.render().message) == (None, bob.pk, "alice liked your post")
        assert isinstance(notify(bob, "new_like", actor=alice, group_key="like:1"), Notification)
        assert notify([alice, bob], "new_like", actor=alice) == 1
        assert notify(alice, "new_like", actor=alice) is None
        with pytest.raises(types.MissingParameter):
            notify(bob, "new_like")
        assert_notified(bob, "new_like")
        assert_not_notified(alice)
    assert [one.recipients for one in sent] == [[bob.pk]] * 3
    assert not Notification.objects.exists()
    assert not Event.objects.exists()
    assert_not_notified(bob)


@pytest.mark.parametrize("open_block", [fake, outbox])
def test_a_reader_gets_one_with_a_key_against_repeats(alice: Any, bob: Any, open_block: Any) -> None:
    with open_block() as sent:
        assert notify(alice, "mention", message="x", dedupe_key="once") is not None
        assert notify(alice, "mention", message="y", dedupe_key="once") is None
        assert notify([alice, bob], "new_like", message="x", dedupe_key="once") == 1
        assert notify([alice, bob], "mention", message="x", dedupe_key="twice") == 2
        assert [notify([alice, bob], "mention", message="x") for _ in range(2)] == [2, 2]
    both = sorted([alice.pk, bob.pk])
    assert [sorted(one.recipients) for one in sent] == [[alice.pk], [bob.pk], both, both, both]


def test_blocks_inside_each_other(bob: Any) -> None:
    with outbox() as outer:
        with outbox() as inner:
            notify(bob, "mention", message="both")
            with fake() as nothing:
                notify(bob, "mention", message="none")
        notify(bob, "mention", message="outer")
        assert_notified(bob, "mention", message="both")
    assert [len(sent) for sent in (outer, inner, nothing)] == [2, 1, 1]
    assert Notification.objects.count() == 2


def test_a_block_that_fails_ends(bob: Any) -> None:
    with pytest.raises(ZeroDivisionError), fake() as sent:
        notify(bob, "mention", message=str(1 / 0))
    notify(bob, "mention", message="real")
    assert sent == []
    assert_notified(bob, "mention", message="real")


@pytest.mark.django_db(transaction=True)
def test_asynchronous_code(bob: Any) -> None:
    async def work() -> None:
        with outbox() as sent:
            await anotify(bob, "mention", message="x")
            assert_notified(bob, "mention")
        assert len(sent) == 1

    asyncio.run(work())


# The clock


def test_time_stands_still_until_it_is_moved(bob: Any) -> None:
    moment = datetime(2030, 1, 31, 8, tzinfo=UTC)
    with own_clock(moment) as time:
        first, second = clock.now(), clock.now()
        assert moment < first < second < moment + timedelta(seconds=1)
        time.move(60)
        time.move(minutes=1, hours=1)
        assert timedelta(0) < clock.now() - moment - timedelta(minutes=62) < timedelta(seconds=1)
        row = notify(bob, "mention", message="x")
        assert isinstance(row, Notification)
        assert row.created_at.hour == 9
        with pytest.raises(ValueError, match="back"):
            time.move(-1)
    assert clock.stand_in is None


def test_the_app_obeys_the_clock(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(types, "_types", dict(types._types))
    types.register("soon", title="Soon over", message="x", time_to_live=timedelta(hours=1))
    with own_clock() as time:
        row = notify(bob, "soon")
        assert isinstance(row, Notification)
        inbox.act(bob.pk, "seen", ids=[row.pk])
        assert inbox.counts(bob.pk).unread == 1
        time.move(hours=1)
        assert inbox.counts(bob.pk).unread == 0


@pytest.mark.parametrize("use_tz", [True, False])
@pytest.mark.parametrize("moment", [datetime(2030, 7, 31, 8), datetime(2030, 7, 31, 8, tzinfo=UTC), None])
def test_a_moment_of_any_kind(settings: Any, use_tz: bool, moment: Any) -> None:
    settings.USE_TZ, settings.TIME_ZONE = use_tz, "Asia/Shanghai"
    with own_clock(moment):
        assert (clock.now().tzinfo is not None) == use_tz
        if moment is not None:
            expected = datetime(2030, 7, 31, 8 if moment.tzinfo is None else 16)
            told = clock.now().astimezone().replace(tzinfo=None) if use_tz else clock.now()
            assert told - expected < timedelta(seconds=1)
