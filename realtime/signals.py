"""What follows from rows that go (L4): nobody keeps hearing a room that he is no longer in.

Connected in `apps.ready()`, so that the REST edge, the admin and site code are all covered.
"""

from typing import Any

from django.db.models import Model, QuerySet
from django.db.models.signals import post_delete

from realtime import delivery, log
from realtime.models import Membership, Room


def connect() -> None:
    post_delete.connect(on_membership_deleted, sender=Membership, dispatch_uid="realtime.membership_deleted")
    post_delete.connect(on_room_deleted, sender=Room, dispatch_uid="realtime.room_deleted")


def on_membership_deleted(instance: Membership, origin: Model | QuerySet[Model] | None = None, **_kwargs: Any) -> None:
    model = origin.model if isinstance(origin, QuerySet) else type(origin)
    if model is not Room:  # else `on_room_deleted` tells everybody at once, without a query for each member
        delivery.unsubscribe(instance.user_id, instance.room.stream)


def on_room_deleted(instance: Room, **_kwargs: Any) -> None:
    """The room's events go with it: its slug may become another room's, whose members must not replay them."""
    log.forget(instance.stream)
    delivery.close_stream(instance.stream)
