"""Queues failed mails again. Called by the admin; the job checks everything again before it sends them."""

from typing import Any

from django.db.models import QuerySet

from notifications import clock
from notifications.models import Delivery
from realtime.integration import own_transaction

# In one call. More would hold their locks for too long.
RETRIED_AT_ONCE = 1_000


def retry_failed(deliveries: "QuerySet[Delivery, Any]") -> list[Delivery]:
    """Queue the failed ones of these mails, the oldest first, and no more than `RETRIED_AT_ONCE`. Returns them.

    A mail that somebody else has queued in the meantime is left out.
    """
    failed = Delivery.objects.filter(channel="mail", state=Delivery.State.FAILED)
    with own_transaction():
        # Locked in one order, so that none of two callers waits for the other.
        chosen = failed.select_for_update().filter(pk__in=deliveries.order_by().values("pk")).order_by("pk")
        found = list(chosen[:RETRIED_AT_ONCE])
        changes = {"state": Delivery.State.QUEUED, "reason": "waiting", "attempts": 0, "due_at": clock.now()}
        failed.filter(pk__in=[delivery.pk for delivery in found]).update(**changes)
    return found
