"""Changes of one reader wait for each other here. In the database, each would keep a connection while it waits.

Named by the views that change an inbox or decide again what waits in it.
"""

from typing import Any

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from realtime.integration.rest import Queues, TurnView

MOST_WAITING = 20  # a reader may have as many pages open, each of which marks what it shows
WAIT_SECONDS = 30.0  # as long as the `read` command of a socket

queues = Queues(MOST_WAITING, WAIT_SECONDS)


class ChangeView(TurnView):
    """Base of the views of which one request of a reader changes something at a time, in each process."""

    def is_change(self, request: Request) -> bool:
        return request.method not in SAFE_METHODS

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.is_change(request):
            self.take_turn(request, queues)
