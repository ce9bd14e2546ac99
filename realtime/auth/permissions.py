"""Permissions of Django as rights to topics. Synchronous; called by declarations of topics."""

from collections.abc import Callable
from typing import Any

from realtime.auth.user_ids import read_id
from realtime.auth.users import active_users


def staff_with(permission: str) -> Callable[[Any], bool]:
    """An `allow` for a topic: lets in members of staff who have the permission, such as `shop.view_order`."""

    def may_subscribe(user_id: Any) -> bool:
        user: Any = active_users([read_id(user_id)]).first()
        # A user model without the field knows staff by their rights alone, and one without rights has none.
        may = getattr(user, "has_perm", None)
        return bool(may and getattr(user, "is_staff", True) and may(permission))

    return may_subscribe
