"""Who was disconnected lately: never no by mistake, however many names there were."""

from realtime.delivery.endings import Endings


def test_it_knows_what_has_ended_since():
    endings = Endings()
    endings.note("1", 5.0)
    assert endings.has_since("1", 4.0)
    assert endings.has_since("1", 5.0)  # the same moment: it may have been after the look-up
    assert not endings.has_since("1", 5.1)
    assert not endings.has_since("2", 0.0)
    assert ("1" in endings, "2" in endings) == (True, False)


def test_a_second_ending_counts():
    endings = Endings()
    endings.note("1", 5.0)
    endings.note("1", 9.0)
    assert endings.has_since("1", 7.0)


def test_a_name_that_was_dropped_counts_as_ended_with_the_newest_that_was_dropped():
    endings = Endings(limit=2)
    for moment, name in enumerate("abcd"):
        endings.note(name, float(moment))
    assert ("a" in endings, "c" in endings) == (False, True)
    assert [endings.has_since(name, 1.0) for name in "abcdx"] == [True] * 5
    assert [endings.has_since(name, 1.5) for name in "abcdx"] == [False, False, True, True, False]


def test_a_name_that_ends_again_is_kept_longest():
    endings = Endings(limit=2)
    for moment, name in enumerate("abac"):
        endings.note(name, float(moment))
    assert ("a" in endings, "b" in endings, "c" in endings) == (True, False, True)


def test_when_nobody_knows_who_has_ended_everybody_may_have():
    endings = Endings(limit=2)
    endings.note("a", 1.0)
    endings.note_all(5.0)
    assert [endings.has_since(name, 5.0) for name in "abx"] == [True] * 3
    assert [endings.has_since(name, 5.1) for name in "abx"] == [False] * 3
    assert ("a" in endings, "b" in endings) == (True, False)
    for moment, name in enumerate("abcd", start=6):
        endings.note(name, float(moment))
    assert [endings.has_since(name, 5.0) for name in "abcdx"] == [True] * 5
    assert not endings.has_since("x", 7.5)
