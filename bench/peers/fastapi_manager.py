"""The `ConnectionManager` of FastAPI's tutorial: sockets in a list and a loop of `send_json`. Saves nothing."""

from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()


class ConnectionManager:
    def __init__(self) -> None:
        self.active_connections: list[WebSocket] = []

    async def connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self.active_connections.append(websocket)

    def disconnect(self, websocket: WebSocket) -> None:
        self.active_connections.remove(websocket)

    async def broadcast(self, frame: dict[str, Any]) -> None:
        for connection in list(self.active_connections):
            await connection.send_json(frame)


manager = ConnectionManager()


@app.websocket("/ws/{user_id}")
async def websocket_endpoint(websocket: WebSocket, user_id: int) -> None:
    await manager.connect(websocket)
    try:
        await websocket.send_json({"type": "connected", "data": {"user_id": user_id}})
        while True:
            command = await websocket.receive_json()
            await manager.broadcast(chat_frame(user_id, command["message"]))
    except WebSocketDisconnect:
        pass
    finally:
        manager.disconnect(websocket)


def chat_frame(user_id: int, message: str) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    data = {"from_user_id": user_id, "from_username": f"u{user_id}", "message": message, "timestamp": now}
    return {"type": "chat", "data": data, "timestamp": now}
