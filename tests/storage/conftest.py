"""Messages for the tests of transactions."""

import pytest

from realtime.chat.messages import Post


@pytest.fixture
def posts(shared, alice, bob):
    """Makes messages to the room; `posts(count, client_id=…)`."""

    def make(count, **fields):
        sender = {"sender": bob.pk, "sender_id": bob.pk, "sender_name": "bob"}
        place = {"room": shared.pk, "room_slug": shared.slug}
        return [
            Post(**{**sender, **place, "text": str(n), "kind": "text", "client_id": None, **fields})
            for n in range(count)
        ]

    return make
