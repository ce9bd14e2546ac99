"""What other apps may import, besides `realtime` and `realtime.protocol`, to build on this one.

`notifications` does so: it marks notifications as read for the `read` command, and runs code on database threads, in
transactions that wait for each other instead of failing.
"""

from realtime.chat.read_positions import register_notification_marker
from realtime.storage.database import run
from realtime.storage.transactions import own_transaction

__all__ = ["own_transaction", "register_notification_marker", "run"]
