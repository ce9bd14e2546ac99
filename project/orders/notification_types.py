"""What users hear of their orders. Imported by `notifications` when all models are loaded.

A new status, whoever saves it and wherever, stores a notification and sends a frame to the user's sockets.
"""

import msgspec

import realtime
from notifications import register_followable
from notifications.rules import Occasion, changed, notify_on, on
from notifications.types import register, require_type
from project.orders.models import Order
from realtime.protocol.frames import Time, utc_now


@realtime.frame
class OrderStatusChanged(msgspec.Struct, tag_field="type", tag="order_status_changed"):
    """An order of the user has another status."""

    order_id: str
    status: str
    timestamp: Time


# The type says `sent`, and to readers in their language what the shop calls that.
_kind = require_type("order_status_changed")
register(
    _kind.key,
    title=_kind.title,
    message=_kind.message,
    category=_kind.category,
    labels={"status": Order.Status.choices},
    example={"order_id": "A-17", "status": Order.Status.SENT.value},
)

register_followable(Order, visible_to=lambda user: Order.objects.filter(user=user.pk))

notify_on(
    Order,
    when=changed("status"),
    recipients="user",
    type="order_status_changed",
    params=lambda occasion: {"order_id": occasion.object.number, "status": occasion.new["status"]},
    data=lambda occasion: {"order_id": occasion.object.number, "status": occasion.new["status"]},
)


@on(Order, changed("status"))
def push_status(occasion: Occasion) -> None:
    order: Order = occasion.object
    realtime.send_to_user(order.user_id, OrderStatusChanged(order.number, occasion.new["status"], utc_now()))
