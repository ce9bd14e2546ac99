"""What users hear of their orders. Imported by `notifications` when all models are loaded.

A new status, whoever saves it and wherever, stores a notification and sends a frame to the user's sockets.
"""

import realtime
from notifications import register_followable
from notifications.rules import Occasion, changed, notify_on, on
from project.orders.models import Order
from realtime.protocol.frames import utc_now

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
    frame = {"type": "order_status_changed", "order_id": order.number, "status": occasion.new["status"]}
    realtime.send_to_user(order.user_id, {**frame, "timestamp": utc_now()})
