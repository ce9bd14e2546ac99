"""Where an application finds our server in a scope. Read by the handshake and by health, under any server.

Apart from `websocket`, because other servers run without uvicorn.
"""

# The key in `scope["extensions"]` of the socket: a `RealtimeProtocol`.
EXTENSION = "realtime.transport"
# The key in `scope["state"]` of a function that returns whether the server is stopping.
IS_STOPPING = "realtime.is_stopping"
