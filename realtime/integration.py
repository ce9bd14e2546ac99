"""What an app that builds on this one may use besides the names in `realtime` and `realtime.protocol`.

`notifications` does: it marks notifications as read for the `read` command, and works on the database's threads.
"""

from realtime.chat.read_positions import register_notification_marker
from realtime.storage.database import run

__all__ = ["register_notification_marker", "run"]
