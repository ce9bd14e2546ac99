"""Switches types of notification off and on, at once and for all readers. Called by the admin."""

from notifications import clock
from notifications.models import TypeSwitch
from realtime.integration import own_transaction


def switch_type(key: str, *, off: bool) -> bool:
    """Whether this call has switched the type; False if it was so already. The conditional UPDATE decides."""
    now = clock.now()
    with own_transaction():
        # A type that has no row yet is on.
        TypeSwitch.objects.bulk_create([TypeSwitch(type=key, off=False, changed_at=now)], ignore_conflicts=True)
        return bool(TypeSwitch.objects.filter(type=key, off=not off).update(off=off, changed_at=now))


def find_switches() -> dict[str, TypeSwitch]:
    """The types that have ever been switched, by key."""
    return TypeSwitch.objects.in_bulk()
