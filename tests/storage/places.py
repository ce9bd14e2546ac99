"""Events of tests, and the places that they have in their streams."""

from realtime.models import Event
from realtime.storage import log, numbering


def body(text="x"):
    return b'{"type":"%s"}' % text.encode()


def commit(*streams):
    return log.commit([(stream, body()) for stream in streams])


def seqs(stream):
    return list(Event.objects.filter(stream=stream).order_by("seq").values_list("seq", flat=True))


def is_complete(stream, count):
    return seqs(stream) == list(range(1, count + 1)) and numbering.positions([stream])[stream] == count
