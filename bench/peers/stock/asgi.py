"""The plain site as uvicorn loads it."""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.peers.stock.settings")
http = get_asgi_application()

from .consumers import DirectConsumer, RoomConsumer  # noqa: E402 (the models need the settings first)

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": URLRouter(
            [
                path("ws/room/<slug:room_id>/<int:user_id>", RoomConsumer.as_asgi()),
                path("ws/direct/<int:user_id>", DirectConsumer.as_asgi()),
            ]
        ),
    }
)
