"""REST for the demo: a user's orders, and their next step, which in a shop its staff would take."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from project.demo.languages import note_language
from project.orders.models import Order
from realtime.api.base import RealtimeView

Status = Order.Status
NEXT = {
    Status.NEW: Status.PAID,
    Status.PAID: Status.SENT,
    Status.SENT: Status.DELIVERED,
    Status.DELIVERED: Status.NEW,  # ordered again
    Status.CANCELLED: Status.NEW,
}


class DemoView(RealtimeView):
    """Does not exist outside the demo."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if not settings.DEMO:
            raise Http404
        super().initial(request, *args, **kwargs)


@extend_schema(exclude=True)
class OrdersView(DemoView):
    def get(self, request: Request) -> Response:
        """The user's orders, and what the states are called in the language of the request.

        A page asks with each connection. A cache in memory has forgotten its language when the server comes back.
        """
        note_language(request.user)
        orders = Order.objects.filter(user=request.user.pk).order_by("number")
        labels = {status.value: str(status.label) for status in Status}
        return Response({"orders": list(orders.values("id", "number", "status")), "labels": labels})


@extend_schema(exclude=True)
class NextStepView(DemoView):
    def post(self, request: Request, key: int) -> Response:
        """Move the order along. The answer says nothing: the new status comes over the socket, to all devices.

        The key stands in the address, because a number may have any characters.
        """
        with transaction.atomic():
            order = Order.objects.select_for_update().filter(user=request.user.pk, pk=key).first()
            if order is None:
                raise Http404
            order.status = NEXT[Status(order.status)]
            order.save(update_fields=["status"])
        return Response(status=204)
