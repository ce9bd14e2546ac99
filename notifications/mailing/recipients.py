"""To which address a user gets mails. Called by `checking` and by the page for unsubscribing."""

from collections.abc import Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.utils.module_loading import import_string

from notifications import conf
from realtime.integration import exact


def load_users(keys: Sequence[Any]) -> dict[Any, Any]:
    """Those of the users, by primary key, who are not disabled."""
    users = exact(get_user_model()._base_manager).filter(pk__in=keys)
    return {user.pk: user for user in users if getattr(user, "is_active", True)}


def address_of(user: Any) -> str:
    """The result of the site's function, if one is set; else the e-mail field of the user model. Empty for none."""
    if path := conf.settings().mail_address:
        return str(import_string(path)(user) or "")
    name = getattr(user, "get_email_field_name", lambda: "email")()
    return str(getattr(user, name, "") or "")
