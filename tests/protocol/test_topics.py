"""Topics as a site declares them, and publishing to them."""

import importlib
import sys

import pytest

import realtime
from realtime.models import Event
from realtime.protocol import topics
from realtime.storage import database

pytestmark = pytest.mark.usefixtures("no_topics")


@pytest.fixture
def site_module(tmp_path, monkeypatch):
    """Writes a site's module and imports it; called again, it loads it again."""
    monkeypatch.syspath_prepend(tmp_path)

    def load(text):
        (tmp_path / "site_topics.py").write_text(f"import realtime\n{text}")
        sys.modules.pop("site_topics", None)
        importlib.invalidate_caches()
        return importlib.import_module("site_topics")

    yield load
    sys.modules.pop("site_topics", None)


def value():
    return 1


def other_value():
    return 2


def test_it_takes_a_function_in_both_ways():
    assert realtime.topic("called", every=5)(value) is value
    decorated = realtime.topic("decorated", every=0.5, durable=True)(value)
    assert decorated is value
    assert realtime.topic("bare") is None
    assert [topic.name for topic in topics.timed()] == ["called", "decorated"]
    assert topics.find("bare") == topics.Topic("bare")
    assert topics.find_stream("topic.decorated") == topics.Topic("decorated", True, None, 0.5, value)
    assert topics.find_stream("called") is topics.find_stream("room.called") is None


@pytest.mark.parametrize("name", ["", "a b", "ä", "a.b", "a\n", "a" * 65])
def test_it_refuses_bad_names(name):
    with pytest.raises(ValueError, match="no name of a topic"):
        realtime.topic(name)


@pytest.mark.parametrize("every", [0, -1, float("nan"), float("inf")])
def test_it_refuses_bad_intervals(every):
    with pytest.raises(ValueError, match="seconds above 0"):
        realtime.topic("metrics", every=every)


def test_it_refuses_a_second_declaration():
    realtime.topic("metrics", every=5)(value)
    realtime.topic("bare")
    for again in (
        lambda: realtime.topic("metrics", every=5)(other_value),
        lambda: realtime.topic("metrics"),
        lambda: realtime.topic("bare", allow=bool),
        lambda: realtime.topic("bare", durable=True),
    ):
        with pytest.raises(ValueError, match="declared twice"):
            again()
    assert topics.find("metrics") == topics.Topic("metrics", False, None, 5, value)


def test_it_takes_the_same_declaration_again(site_module):
    text = (
        "@realtime.topic('metrics', every=5, allow=lambda user: True)\ndef value():\n    return 1\nrealtime.topic('b')"
    )
    site_module(text)
    again = site_module(text)
    assert topics.find("metrics").function is again.value


def test_it_finds_the_modules_of_the_apps():
    import project.topics

    assert project.topics.measure.__module__ == "project.topics"  # imported when Django was set up
    importlib.reload(project.topics)
    assert topics.find("metrics").every == 2


@pytest.mark.django_db(transaction=True)
def test_it_publishes_as_the_declaration_says():
    realtime.topic("fleeting")
    realtime.topic("kept", durable=True)
    frame = {"type": "news"}
    realtime.publish("topic.fleeting", frame)
    realtime.publish("topic.kept", frame)
    realtime.publish("topic.kept", frame, durable=False)
    assert list(Event.objects.values_list("stream", "seq")) == [("topic.kept", 1)]
    realtime.publish("topic.fleeting", frame, durable=True)
    assert Event.objects.count() == 2
    for durable in (None, True, False):
        with pytest.raises(ValueError, match="no topic"):
            realtime.publish("topic.unknown", frame, durable)
    database.shutdown()
