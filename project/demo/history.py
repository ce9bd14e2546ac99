"""The past of the demo: what was said, and an inbox for each visitor. Written once, by `load_demo`."""

from datetime import timedelta

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.utils import timezone

from notifications import notify
from project.demo.people import EVERYBODY, VISITORS
from project.demo.script import HISTORY, SMALL_TALK, Line
from realtime.chat.messages import Post, store
from realtime.models import Membership, Message, Room
from realtime.storage import numbering

SMALL_TALK_ROUNDS = 15
MINUTES_BETWEEN_LINES = 7
FANS = 4


def write_history() -> None:
    """Write messages and notifications, unless there are messages."""
    if Message.objects.exists():
        return
    people = {user.username: user for user in get_user_model().objects.filter(username__in=names())}
    write_messages(people)
    for visitor in VISITORS:
        notify_about_others(people[visitor.username], [people[name] for name in names() if name != visitor.username])


def names() -> list[str]:
    return [person.username for person in EVERYBODY]


def write_messages(people: dict[str, User]) -> None:
    lines = [*SMALL_TALK * SMALL_TALK_ROUNDS, *HISTORY]
    rooms = {room.slug: room for room in Room.objects.all()}
    store([to_post(line, people[line.speaker], rooms[line.room].pk, f"past-{n}") for n, line in enumerate(lines)])
    moment = timezone.now() - timedelta(minutes=1)
    messages = list(Message.objects.order_by("-pk"))
    for message in messages:
        message.created_at = moment
        moment -= timedelta(minutes=MINUTES_BETWEEN_LINES)
    Message.objects.bulk_update(messages, ["created_at"])
    # A room that staff have made may have no events yet.
    positions = numbering.positions(room.stream for room in rooms.values())
    for room in rooms.values():
        Membership.objects.filter(room=room).update(last_read_seq=positions[room.stream])


def to_post(line: Line, sender: User, room: int, client_id: str) -> Post:
    return Post(
        sender=sender.pk,
        sender_id=sender.pk,
        sender_name=sender.get_username(),
        text=line.text,
        kind="text",
        client_id=client_id,
        room=room,
        room_slug=line.room,
    )


def notify_about_others(user: User, others: list[User]) -> None:
    notify(user, "new_follower", actor=others[0])
    notify(user, "new_comment", actor=others[1], data={"post_id": 17})
    for fan in others[:FANS]:
        notify(user, "new_like", actor=fan, data={"post_id": 21}, group_key="likes:21")
    notify(user, "mention", actor=others[2], reason="mentioned")
