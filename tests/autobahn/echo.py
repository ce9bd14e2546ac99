"""An echo on the server's own WebSocket class, for Autobahn's cases. Run by `python -m tests.autobahn`.

The limits of a frame and of fragments are lifted: the cases send messages of 16 MB, and thousands of fragments.
"""

import argparse
from typing import Any

import uvicorn

from realtime.server import peer

MAX_MESSAGE_BYTES = 32 * 2**20


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Sends each message back."""
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    port = parser.parse_args().port
    peer.IDLE_FRAMES_BURST = 10**9
    config = uvicorn.Config(
        application,
        port=port,
        loop="uvloop",
        http="realtime.server.http:BoundedHttpProtocol",
        ws="realtime.server.websocket:RealtimeProtocol",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        lifespan="off",
        log_level="error",
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
