"""What other apps may import, besides `realtime` and `realtime.protocol`, to build on this one.

`notifications` does so: it marks notifications as read for the `read` command, runs code on database threads and
periodic jobs, in transactions of the same database that wait for each other instead of failing, asks who is there,
reads settings and arguments that name users, names users to others, shortens what people write, lets staff choose
users by name, ends lists of the admin before they count a whole table, refuses those that make no sense, links no page
of the admin that the user may not open, finds its addresses and tables of other apps, as `realtime` does, replaces what
must not be replayed, describes its frames, and completes those that count when they get their number.
"""

from realtime.asyncapi.contributions import Contribution, register_description
from realtime.auth.admin_links import CarefulLinks, may_open
from realtime.auth.admin_lists import CarefulLists
from realtime.auth.bounded_lists import BoundedLists, BoundedPaginator
from realtime.auth.excerpts import shorten
from realtime.auth.names import display_name
from realtime.auth.user_choice import FindsUsers, UserSelect, UsersSelect
from realtime.auth.user_ids import read_user, wire_id
from realtime.auth.users import all_users
from realtime.chat.read_positions import Busy, register_notification_marker
from realtime.conf import has_redis, read_settings
from realtime.delivery.addresses import find_path
from realtime.delivery.publishing import publish_all
from realtime.models import ExactModel, ExactQuerySet, name_related
from realtime.presence.absence import find_connected, find_last_seen
from realtime.presence.attendance.lookup import find_present
from realtime.presence.online import count as count_online
from realtime.presence.online import page as online_page
from realtime.presence.store import StoreUnavailable
from realtime.protocol.streams import user_stream
from realtime.recovery.replays import register_replay
from realtime.storage.completing import register_completion
from realtime.storage.database import USE_TWIN, run
from realtime.storage.foreign_tables import find_foreign_tables
from realtime.storage.jobs import is_stopping, register_job
from realtime.storage.json_rows import plain, rows, stored_id, update_rows, user_column
from realtime.storage.numbering import user_keys_come_back
from realtime.storage.routed import alias as database_alias
from realtime.storage.routed import connection, exact
from realtime.storage.transactions import call_after_commit, own_statement, own_transaction, retry_conflicts

__all__ = [
    "USE_TWIN",
    "BoundedLists",
    "BoundedPaginator",
    "Busy",
    "CarefulLinks",
    "CarefulLists",
    "Contribution",
    "ExactModel",
    "ExactQuerySet",
    "FindsUsers",
    "StoreUnavailable",
    "UserSelect",
    "UsersSelect",
    "all_users",
    "call_after_commit",
    "connection",
    "count_online",
    "database_alias",
    "display_name",
    "exact",
    "find_connected",
    "find_foreign_tables",
    "find_last_seen",
    "find_path",
    "find_present",
    "has_redis",
    "is_stopping",
    "may_open",
    "name_related",
    "online_page",
    "own_statement",
    "own_transaction",
    "plain",
    "publish_all",
    "read_settings",
    "read_user",
    "register_completion",
    "register_description",
    "register_job",
    "register_notification_marker",
    "register_replay",
    "retry_conflicts",
    "rows",
    "run",
    "shorten",
    "stored_id",
    "update_rows",
    "user_column",
    "user_keys_come_back",
    "user_stream",
    "wire_id",
]
