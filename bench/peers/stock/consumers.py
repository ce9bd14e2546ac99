"""The two consumers of the plain site. The sender encodes a frame once; every receiver's handler only sends it."""

import json
from datetime import UTC, datetime
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

from .models import Message


class ChatConsumer(AsyncWebsocketConsumer):
    """One group for each socket; the user's number is in the path, and nobody checks it."""

    group: str
    user_id: int

    async def connect(self) -> None:
        self.user_id = int(self.scope["url_route"]["kwargs"]["user_id"])
        self.group = self.group_name()
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()
        await self.send(json.dumps({"type": "connected", "data": {"user_id": self.user_id}}))

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def chat_frame(self, event: dict[str, Any]) -> None:
        await self.send(event["text"])

    def group_name(self) -> str:
        raise NotImplementedError

    def frame(self, message: str) -> str:
        now = datetime.now(UTC).isoformat()
        data = {
            "from_user_id": self.user_id,
            "from_username": f"u{self.user_id}",
            "message": message,
            "timestamp": now,
        }
        return json.dumps({"type": "chat", "data": data, "timestamp": now})


class RoomConsumer(ChatConsumer):
    """Everyone hears everyone; nothing is saved."""

    def group_name(self) -> str:
        return f"room.{self.scope['url_route']['kwargs']['room_id']}"

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        text = self.frame(json.loads(text_data or "")["message"])
        await self.channel_layer.group_send(self.group, {"type": "chat.frame", "text": text})


class DirectConsumer(ChatConsumer):
    """From one user to another; a message is saved first, then sent to both."""

    def group_name(self) -> str:
        return f"user.{self.user_id}"

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        command = json.loads(text_data or "")
        recipient, message = command["to_user_id"], command["message"]
        await Message.objects.acreate(sender=self.user_id, recipient=recipient, text=message)
        event = {"type": "chat.frame", "text": self.frame(message)}
        await self.channel_layer.group_send(f"user.{recipient}", event)
        await self.channel_layer.group_send(self.group, event)
