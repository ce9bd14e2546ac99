"""How far a socket is known to have got: only an answered heartbeat counts."""

from realtime.progress import MAX_UNANSWERED, Progress


def test_it_confirms_what_was_sent_before_an_answered_heartbeat():
    progress = Progress()
    progress.start("room.a", 3)
    progress.note_heartbeat({"room.a": 7})
    assert progress.confirmed == {"room.a": 3}
    assert progress.confirm()
    assert progress.confirmed == {"room.a": 7}


def test_it_takes_answers_in_the_order_of_the_heartbeats():
    progress = Progress()
    progress.start("room.a", 0)
    progress.note_heartbeat({"room.a": 1})
    progress.note_heartbeat({"room.a": 5})
    progress.confirm()
    assert progress.confirmed == {"room.a": 1}


def test_it_ignores_answers_to_nothing():
    progress = Progress()
    progress.start("room.a", 2)
    assert not progress.confirm()
    assert progress.confirmed == {"room.a": 2}


def test_it_never_goes_back():
    progress = Progress()
    progress.start("room.a", 9)
    progress.note_heartbeat({"room.a": 4})
    assert not progress.confirm()
    assert progress.confirmed == {"room.a": 9}


def test_it_forgets_a_stream_that_was_left():
    progress = Progress()
    progress.start("room.a", 1)
    progress.note_heartbeat({"room.a": 2})
    progress.stop("room.a")
    progress.confirm()
    assert progress.confirmed == {}


def test_it_remembers_few_unanswered_heartbeats():
    progress = Progress()
    progress.start("room.a", 0)
    for seq in range(1, MAX_UNANSWERED + 3):
        progress.note_heartbeat({"room.a": seq})
    while progress.confirm():
        pass
    assert progress.confirmed == {"room.a": MAX_UNANSWERED + 2}
