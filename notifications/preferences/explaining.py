"""Why a notification reached its reader, or did not, on each channel: for readers and for staff. Synchronous.

What was noted at the time counts, and never what has been chosen since. Where nothing was noted, it says just that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from notifications import conf
from notifications.models import Delivery, Notification
from notifications.preferences import store
from notifications.preferences.deciding import as_aware
from notifications.preferences.store import NOTHING_CHOSEN, Choices
from notifications.types import CHANNELS, Channel, find_type
from realtime.integration import read_user, run

Verdict = str  # "sent", "waiting" or "off"

TEXTS: Mapping[tuple[str, str], str | Promise] = {
    ("off", "staff"): _("Staff had switched this type off."),
    ("off", "silent"): _("It is silent: stored and counted only."),
    ("off", "present"): _("The reader had open what it is about, and has seen it there."),
    ("sent", "critical"): _("It is critical, so it is sent whatever the reader has chosen."),
    ("off", "critical"): _("It is critical, and its type is not sent in this way."),
    ("off", "channel"): _("The reader had switched this way off."),
    ("waiting", "mute"): _("The reader has muted it until %(until)s."),
    ("off", "mute"): _("The reader had muted it."),
    ("waiting", "quiet_hours"): _("The reader has quiet hours until %(until)s."),
    ("off", "quiet_hours"): _(
        "It came in quiet hours; after them the reader was told how many were still unread, if any."
    ),
    ("sent", "type"): _("The reader had chosen this type."),
    ("off", "type"): _("The reader had switched this type off."),
    ("sent", "category"): _("The reader had chosen this category."),
    ("off", "category"): _("The reader had switched this category off."),
    ("sent", "default"): _("This type is sent in this way, and the reader had chosen nothing else."),
    ("off", "default"): _("This type is not sent in this way, unless the reader chooses that."),
    ("waiting", "limit"): _("Too many came within a minute; the reader is told how many at %(until)s."),
    ("off", "limit"): _(
        "Too many came within a minute; after it the reader was told how many were still unread, if any."
    ),
    ("off", "site"): _("This site sends nothing in this way."),
    ("waiting", "away"): _("It waits until the reader has been away for a while."),
    ("waiting", "online"): _("The reader is here, or was so until a moment ago."),
    ("waiting", "digest"): _("It waits for the reader's digest, at %(until)s."),
    ("waiting", "snoozed"): _("The reader has snoozed it until %(until)s."),
    ("waiting", "waiting"): _("It could not be sent yet, and is tried again at %(until)s."),
    ("waiting", "presence"): _("Who is online cannot be known at the moment; it is tried again at %(until)s."),
    ("off", "snoozed"): _("The reader had snoozed it by then."),
    ("off", "read"): _("The reader had read it by then."),
    ("off", "archived"): _("The reader had archived it by then."),
    ("off", "deleted"): _("The reader had deleted it by then."),
    ("off", "expired"): _("It had expired by then."),
    ("off", "inactive"): _("The account is disabled."),
    ("off", "no_address"): _("The account has no address."),
    ("off", "bounced"): _("Mails to this address came back."),
    ("off", "failed"): _("It could not be sent."),
    ("sent", "unknown"): _("It was sent in this way. Which rule decided that was not noted."),
    ("off", "unknown"): _("It was not sent in this way when it came. What holds may have changed since."),
}


# What a delivery waits for that has no other reason.
WAITS_FOR: Mapping[Channel, str] = {"mail": "away", "web_push": "waiting"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Which rule has decided on one channel: a rule of the cascade, or what has become of a mail since."""

    channel: Channel
    verdict: Verdict
    rule: str
    until: datetime | None = None
    text: str = ""  # in the language that was active, with times in the reader's zone


def explain(notification: Notification, user: Any) -> list[Explanation]:
    """One explanation for each channel. `user` is the reader; ValueError for any other user."""
    if read_user(user) != notification.recipient_id:
        raise ValueError("This is not the reader of the notification.")
    reader = notification.recipient_id
    choices = store.load([reader]).get(reader, NOTHING_CHOSEN)
    deliveries = {
        delivery.channel: delivery for delivery in Delivery.objects.filter(notification=notification).order_by("round")
    }
    found = [_explain_push(notification)]
    for channel in (channel for channel in CHANNELS if channel != "socket"):
        delivery = deliveries.get(channel)
        off = Explanation(channel, "off", _find_refusal(notification, channel, choices))
        found.append(off if delivery is None else _explain_delivery(delivery, channel))
    return [replace(explanation, text=in_words(explanation, choices.zone)) for explanation in found]


async def aexplain(notification: Notification, user: Any) -> list[Explanation]:
    return await run(explain, notification, user)


def _explain_push(row: Notification) -> Explanation:
    if row.withheld_by:
        waits = row.withheld_until is not None
        return Explanation("socket", "waiting" if waits else "off", row.withheld_by, row.withheld_until)
    if row.silent:
        return Explanation("socket", "off", "silent")
    return Explanation("socket", "sent", row.pushed_by or "unknown")


def _find_refusal(row: Notification, channel: Channel, choices: Choices) -> str:
    """Why nothing was even queued, as far as that can be known: what the reader had chosen against a mail is noted."""
    if row.silent:
        return "silent"
    if row.withheld_by == "present":
        return "present"
    if not _is_served(channel):
        return "site"
    kind = find_type(row.type)
    if kind is not None and kind.critical and channel not in kind.channels:
        return "critical"
    if channel == "web_push" and not choices.switches[channel]:
        return "channel"  # as it is for readers who have never chosen
    if kind is None or channel == "web_push" or channel in kind.channels:
        return "unknown"  # such as: the site sends in this way only since then
    return "default"


def _is_served(channel: Channel) -> bool:
    settings = conf.settings()
    return bool(settings.web_push) if channel == "web_push" else settings.mail


def _explain_delivery(delivery: Delivery, channel: Channel) -> Explanation:
    state = Delivery.State(delivery.state)
    if state == Delivery.State.QUEUED and not _is_served(channel):
        return Explanation(channel, "off", "site")
    if state == Delivery.State.QUEUED:
        return Explanation(channel, "waiting", delivery.reason or WAITS_FOR[channel], delivery.due_at)
    if state == Delivery.State.SENT:
        return Explanation(channel, "sent", delivery.rule or "unknown")
    return Explanation(channel, "off", delivery.reason if state == Delivery.State.SUPPRESSED else str(state))


def in_words(found: Explanation, zone: tzinfo) -> str:
    """What `found` says in the active language, with times in this zone."""
    until = "" if found.until is None else f"{as_aware(found.until).astimezone(zone):%Y-%m-%d %H:%M}"
    return str(TEXTS.get((found.verdict, found.rule), found.rule)) % {"until": until}
