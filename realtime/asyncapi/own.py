"""What `realtime` itself says on its sockets, and what a site has declared to it: topics, and frames of its own."""

from typing import Any

from realtime.asyncapi import examples
from realtime.asyncapi.channels import FRAMES
from realtime.asyncapi.contributions import Contribution
from realtime.protocol import commands, frames, site_frames, topics


def describe_own() -> Contribution:
    return Contribution(
        union="AnyFrame",
        about="The frames about the socket, rooms, chat, topics and presence.",
        frames=FRAMES,
        examples=examples.FRAMES,
        shapes=[frames.HistoryItem],
        aliases={
            "UserId": (frames.UserId, "A user's primary key: a number if the key is one, otherwise a string."),
            "Time": (frames.Time, "ISO 8601 in UTC with microseconds: `2025-10-22T10:00:00.123456Z`."),
            "Kind": (commands.Kind, "What a message is."),
            "Role": (frames.Role, "A member's role in a room."),
            "RoomId": (commands.RoomId, "The name of a room in addresses and frames: 1 to 64 of `a-z 0-9 - _`."),
            "TopicName": (commands.TopicName, "The name of a topic: 1 to 64 of `A-Z a-z 0-9 - _`."),
            "StreamName": (frames.StreamName, "`site`, `user.<id>`, `room.<id>` or `topic.<name>`."),
            "CommandId": (commands.CommandId, "The `id` of a command, chosen by the client: 64 characters at most."),
        },
    )


def describe_site() -> Contribution:
    found = topics.all_topics()
    return Contribution(
        frames=site_frames.declared(),
        values={"TopicData": {topic.name: topic.data for topic in found if topic.data is not None}},
        lists={"x-topics": {topic.name: _list_topic(topic) for topic in found}},
    )


def _list_topic(topic: topics.Topic) -> dict[str, Any]:
    return {"stored": topic.durable, "every_seconds": topic.every, "restricted": topic.allow is not None}
