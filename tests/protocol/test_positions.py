"""How far a socket is known to have got: only an answered heartbeat counts."""

from realtime.protocol.positions import MAX_UNANSWERED, Positions


def test_it_confirms_what_was_sent_before_an_answered_heartbeat():
    progress = Positions()
    progress.start("room.a", 3)
    progress.note_heartbeat({"room.a": 7})
    assert progress.confirmed == {"room.a": 3}
    assert progress.confirm()
    assert progress.confirmed == {"room.a": 7}


def test_it_takes_answers_in_the_order_of_the_heartbeats():
    progress = Positions()
    progress.start("room.a", 0)
    progress.note_heartbeat({"room.a": 1})
    progress.note_heartbeat({"room.a": 5})
    progress.confirm()
    assert progress.confirmed == {"room.a": 1}


def test_it_ignores_answers_to_nothing():
    progress = Positions()
    progress.start("room.a", 2)
    assert not progress.confirm()
    assert progress.confirmed == {"room.a": 2}


def test_it_comes_back_from_the_future():
    progress = Positions()
    progress.start("room.a", 900)  # what the client believed, before it heard where the stream is
    progress.note_heartbeat({"room.a": 4})
    assert progress.confirmed == {"room.a": 900}
    assert progress.confirm()
    assert progress.confirmed == {"room.a": 4}


def test_it_takes_no_answer_to_a_heartbeat_that_left_before_the_replay():
    progress = Positions()
    progress.start("room.a", 9)
    progress.note_heartbeat({"room.a": 9, "room.b": 1})
    progress.start("room.a", 2)
    assert not progress.confirm()
    assert progress.confirmed == {"room.a": 2}


def test_it_forgets_a_stream_that_was_left():
    progress = Positions()
    progress.start("room.a", 1)
    progress.note_heartbeat({"room.a": 2})
    progress.stop("room.a")
    progress.confirm()
    assert progress.confirmed == {}


def test_it_remembers_few_unanswered_heartbeats():
    progress = Positions()
    progress.start("room.a", 0)
    for seq in range(1, MAX_UNANSWERED + 3):
        progress.note_heartbeat({"room.a": seq})
    confirmed = []
    for _ in range(MAX_UNANSWERED + 2):
        progress.confirm()
        confirmed.append(progress.confirmed["room.a"])
    assert confirmed == [0, 0, 3, 4, 5, 6]  # the answers to the first two say nothing of the third
    assert not progress.confirm()


def test_it_keeps_nothing_of_heartbeats_that_would_tell_nothing():
    sockets = [Positions(), Positions()]
    for progress in sockets:
        progress.start("room.a", 3)
        progress.note_heartbeat({"room.a": 3})
    assert sockets[0]._noted[0] is sockets[1]._noted[0]
    assert not sockets[0].confirm()
    assert sockets[0]._noted == ()


def test_it_keeps_heartbeats_apart_when_the_first_would_confirm_nothing():
    progress = Positions()
    progress.start("room.a", 3)
    progress.note_heartbeat({"room.a": 3})
    progress.note_heartbeat({"room.a": 5})
    assert not progress.confirm()
    assert progress.confirmed == {"room.a": 3}
    assert progress.confirm()
    assert progress.confirmed == {"room.a": 5}


def test_it_notes_what_is_known_as_long_as_something_lower_is_to_be_confirmed():
    progress = Positions()
    progress.start("room.a", 5)  # from the future
    progress.note_heartbeat({"room.a": 3})
    progress.note_heartbeat({"room.a": 5})
    assert [progress.confirm(), progress.confirmed["room.a"]] == [True, 3]
    assert [progress.confirm(), progress.confirmed["room.a"]] == [True, 5]


def test_it_counts_the_heartbeats_that_are_not_answered():
    positions = Positions()
    for count in range(1, 7):
        positions.note_heartbeat({"user.1": count})
        assert positions.unanswered == count
    for count in range(5, -1, -1):
        positions.confirm()
        assert positions.unanswered == count
    positions.confirm()
    assert positions.unanswered == 0
