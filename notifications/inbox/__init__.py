"""The inbox of a user: its lists and counts, and what its reader does with notifications."""

from notifications.inbox.acts import CannotUndo, Outcome, act, mark, mark_all, mark_read, take_action, undo
from notifications.inbox.announcing import COUNTING, recount
from notifications.inbox.lists import Filters, HasMoved, Place, counts, find, find_place, page, select

__all__ = [
    "COUNTING",
    "CannotUndo",
    "Filters",
    "HasMoved",
    "Outcome",
    "Place",
    "act",
    "counts",
    "find",
    "find_place",
    "mark",
    "mark_all",
    "mark_read",
    "page",
    "recount",
    "select",
    "take_action",
    "undo",
]
