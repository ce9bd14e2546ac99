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

    A mail that somebody else has queued in the meantime is left out, and so is one whose notification was sent again.
    """
    failed = Delivery.last_rounds().filter(channel="mail", state=Delivery.State.FAILED)
    with own_transaction():
        chosen = failed.filter(pk__in=deliveries.order_by().values("pk")).order_by("pk")
        oldest = list(chosen.values_list("pk", flat=True)[:RETRIED_AT_ONCE])
        locked = Delivery.lock(failed.filter(pk__in=oldest))
        # Whoever sends again locks the rows, too: what has come of it is seen only now.
        found = list(failed.filter(pk__in=locked).order_by("pk"))
        changes: dict[str, Any] = {"state": Delivery.State.QUEUED, "reason": "waiting", "attempts": 0}
        changes |= {"due_at": clock.now(), "settled_at": None}
        failed.filter(pk__in=[delivery.pk for delivery in found]).update(**changes)
    return found
