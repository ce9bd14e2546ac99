"""The rules of the chaos: what a client accepts, and what a plan may be."""

from hypothesis import example, given
from hypothesis import strategies as st

from tests.chaos.account import Account
from tests.chaos.outbox import Outbox
from tests.chaos.plan import OUTAGES, READERS, ROAD_ACTIONS, SERVERS, SILENT_SECONDS, WRITERS, make_plan

LAST = 12
seeds = st.integers(0, 2**32)
lengths = st.floats(10, 200)


def open_account():
    account = Account()
    account.begin(["room.a"])
    return account


def accept(account, numbers):
    """Give events of one stream, whose message ids are a hundred more than their `seq`."""
    return [seq for seq in numbers if account.accept("room.a", seq, 100 + seq)]


@given(st.lists(st.integers(1, LAST)))
def test_it_accepts_what_comes_next_and_nothing_else(numbers):
    account = open_account()
    account.go_on("room.a", 0)
    accepted = accept(account, numbers)
    assert accepted == list(range(1, len(accepted) + 1))
    assert account.events["room.a"] == [100 + seq for seq in accepted]
    assert bool(account.violations) == (accepted != numbers)


@given(st.integers(1, LAST), st.integers(1, LAST))
def test_it_forgives_what_came_before_the_replay(since, early):
    account = open_account()
    account.events["room.a"] = [100 + seq for seq in range(1, since + 1)]
    account.last = {"room.a": early}
    accept(account, [early + 1])
    account.expect_replay({"room.a": since})
    accept(account, range(since + 1, LAST + 3))
    account.go_on("room.a", LAST + 2)
    assert not account.violations
    accept(account, [LAST + 4])
    assert len(account.violations) == 1
    accept(account, [since + 1])
    assert len(account.violations) == 2


def test_it_notices_a_live_event_between_those_of_a_replay():
    account = open_account()
    account.last = {"room.a": 9}
    account.expect_replay({"room.a": 0})
    accept(account, [1, 2, 10, 3])
    assert account.violations == ["room.a: 10 came after 2", "room.a: 3 came after 10"]


def test_what_a_list_has_filled_is_known_when_it_comes_again():
    account = open_account()
    account.skip_to("room.a", 3)
    account.go_on("room.a", 3)
    assert accept(account, [4]) == [4]
    account.expect_replay({"room.a": 1})
    assert accept(account, [2, 3, 4]) == []
    assert account.events["room.a"] == [0, 102, 103, 104]
    assert not account.violations


def test_it_notices_another_message_in_the_same_place():
    account = open_account()
    accept(account, [1, 2])
    account.begin(["room.a"])
    account.accept("room.a", 2, 7)
    assert account.violations == ["room.a/2 was message 102, and is 7 now"]


def test_it_notices_a_replay_that_ended_too_early():
    account = open_account()
    accept(account, [1, 2])
    account.go_on("room.a", 3)
    assert len(account.violations) == 1


def test_it_gets_again_what_a_server_had_not_heard_of_when_it_took_up_the_session():
    """The session knows less than its client, and so does the server, which Redis is away from."""
    account = open_account()
    accept(account, [1, 2, 3])
    account.begin(["room.a"])
    accept(account, [2])  # the replay
    account.go_on("room.a", 2)
    assert accept(account, [3, 4]) == [4]
    assert not account.violations
    accept(account, [4])
    assert account.violations == ["room.a: 4 came after 4"]


@given(st.integers(0, LAST), st.integers(0, LAST))
def test_it_goes_on_after_the_history(known, until):
    account = Account()
    accept(account, range(1, known + 1))
    items = [{"seq": seq, "message_id": 100 + seq} for seq in range(LAST, known, -1)]
    account.accept_history("room.a", items, until)
    account.go_on("room.a", until)
    assert account.position("room.a") == max(known, until)
    assert not account.violations


def test_it_keeps_a_message_until_it_is_acked():
    violations = []
    outbox = Outbox(violations)
    message = outbox.add("c-", {"type": "message"})
    outbox.ask("resume", {"type": "resume"})
    outbox.note_sent("c-1", 0)
    outbox.forget_sent()
    assert outbox.all() == [message] == list(outbox.waiting.values())
    outbox.take_ack("c-1", 5, 50)
    assert not outbox.waiting
    outbox.take_ack("c-1", 5, 50)
    assert not violations
    outbox.take_ack("c-1", 6, 51)
    assert len(violations) == 1


def test_it_notices_a_command_without_an_answer():
    violations = []
    outbox = Outbox(violations)
    outbox.note_sent(outbox.add("c-", {"type": "message"})["id"], 0)
    outbox.require_answers(20)
    assert not violations
    outbox.require_answers(40)
    assert len(violations) == 1


@given(seeds, lengths)
def test_it_makes_the_same_plan_of_the_same_seed(seed, seconds):
    assert make_plan(seed, seconds) == make_plan(seed, seconds)


@given(seeds, lengths)
def test_it_plans_in_order_and_mends_everything_in_time(seed, seconds):
    plan = make_plan(seed, seconds)
    assert [step.at for step in plan] == sorted(step.at for step in plan)
    assert all(0 < step.at <= step.end <= seconds + 1e-9 for step in plan)
    for step in plan:
        assert 0 <= step.target < (SERVERS if step.action in OUTAGES else WRITERS + READERS)


@given(seeds, lengths)
def test_it_breaks_one_thing_in_one_way_at_a_time(seed, seconds):
    ends = {}
    for step in make_plan(seed, seconds):
        if step.action in OUTAGES:
            assert step.at > ends.get(step.victim, 0)
            ends[step.victim] = step.end


@given(seeds, lengths)
def test_it_has_the_last_word_said_while_redis_is_away(seed, seconds):
    (closing,) = (step for step in make_plan(seed, seconds) if step.action == "redis-empty" and step.end == seconds)
    assert closing.at < seconds - SILENT_SECONDS


@given(seeds)
@example(669564361)  # the first draw has no slot for a flush
@example(3107396604)
def test_it_breaks_everything_in_every_way_within_a_minute(seed):
    assert {step.action for step in make_plan(seed, 60)} == {*OUTAGES, *ROAD_ACTIONS}
