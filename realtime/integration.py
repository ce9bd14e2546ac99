"""What other apps may import, besides `realtime` and `realtime.protocol`, to build on this one.

`notifications` does so: it marks notifications as read for the `read` command, runs code on database threads, in
transactions of the same database that wait for each other instead of failing, reads settings and arguments that name
users, names users to others, lets staff choose users by name, and finds tables of other apps, as `realtime` does.
"""

from realtime.auth.names import display_name
from realtime.auth.user_choice import FindsUsers
from realtime.auth.user_ids import read_user
from realtime.auth.users import all_users
from realtime.chat.read_positions import register_notification_marker
from realtime.conf import read_settings
from realtime.storage.database import USE_TWIN, run
from realtime.storage.foreign_tables import find_foreign_tables
from realtime.storage.routed import alias as database_alias
from realtime.storage.transactions import own_transaction

__all__ = [
    "USE_TWIN",
    "FindsUsers",
    "all_users",
    "database_alias",
    "display_name",
    "find_foreign_tables",
    "own_transaction",
    "read_settings",
    "read_user",
    "register_notification_marker",
    "run",
]
