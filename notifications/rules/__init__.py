"""Rules: notifications that follow from what happens to objects of the site, without code in each place where it does.

Site code declares them in a module `notification_types`, when all models are loaded: `notify_on(Order, when=…, …)`.
"""

from notifications.rules.bulk import notify_changes, notify_created
from notifications.rules.declaring import notify_on, on
from notifications.rules.occasions import Occasion, changed, created, deleted

__all__ = ["Occasion", "changed", "created", "deleted", "notify_changes", "notify_created", "notify_on", "on"]
