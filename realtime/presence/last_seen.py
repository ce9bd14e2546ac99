"""Stores when users were last seen. Called by the tracker, on a database thread."""

from collections.abc import Iterable

from django.utils import timezone

from realtime.models import LastSeen
from realtime.storage.transactions import own_transaction


def write_last_seen(user_keys: Iterable[str]) -> None:
    """Store that the users' last sockets closed now. Users who were deleted meanwhile are skipped. Synchronous."""
    model = LastSeen._meta.get_field("user").related_model
    existing = model._default_manager.filter(pk__in=list(user_keys)).order_by("pk").values_list("pk", flat=True)
    now = timezone.now()
    with own_transaction():
        LastSeen.objects.bulk_create(
            [LastSeen(user_id=pk, at=now) for pk in existing],
            update_conflicts=True,
            unique_fields=["user"],
            update_fields=["at"],
        )
