"""Why a mail waits or was not sent, in a few words, for staff. Used by the admin.

The words are what the column `reason` has: rules of the cascade, and what `checking` and `sending` have found.
`preferences.explaining` says the same to readers, in a sentence.
"""

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

WAITING: Mapping[str, str | Promise] = {
    "away": _("not away for long enough"),
    "online": _("online"),
    "digest": _("in the next digest"),
    "quiet_hours": _("quiet hours"),
    "mute": _("muted"),
    "snoozed": _("snoozed"),
    "waiting": _("waits for the next attempt"),
    "presence": _("unknown who is online"),
    "limit": _("too many in a minute"),
}
ENDED: Mapping[str, str | Promise] = {
    "read": _("already read"),
    "archived": _("already archived"),
    "deleted": _("deleted"),
    "expired": _("expired"),
    "inactive": _("account disabled"),
    "no_address": _("no address"),
    "bounced": _("earlier mails came back"),
    "refused": _("refused"),
    "staff": _("type switched off by staff"),
    "silent": _("silent"),
    "site": _("not sent by this site"),
    "critical": _("type is not mailed"),
    "channel": _("reader wants no mails"),
    "type": _("reader wants no mails of this type"),
    "category": _("reader wants no mails of this category"),
    "default": _("not mailed unless chosen"),
}
REASONS: Mapping[str, str | Promise] = {**WAITING, **ENDED}
