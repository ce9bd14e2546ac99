"""Notifications as CSV for a spreadsheet, however many, read and sent in portions. Used by the admin."""

import csv
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.translation import get_language, override

from notifications import clock
from notifications.models import Notification, NotificationQuerySet
from realtime.integration import run

ROWS_AT_ONCE = 1_000
MOMENTS = ("created_at", "arrived_at", "seen_at", "read_at", "archived_at", "deleted_at", "expires_at")
COLUMNS = (
    *("id", "recipient_id", "recipient", "type", "title", "message", "link", "reason", "actor_id", "data"),
    *("withheld_by", "action", *MOMENTS),
)
# Spreadsheets take what begins with one of these for a formula, also in their full width.
FORMULA = tuple("=+-@\t\r\n＝＋－＠")
# Without it, some spreadsheets take UTF-8 for another encoding.
MARK = "\ufeff"


def respond(request: HttpRequest, rows: NotificationQuerySet) -> StreamingHttpResponse:
    """The answer with these notifications, the newest first. What is stored meanwhile is not in it."""
    portions = _Portions(rows, get_language() or "")
    # Django would read an iterator of the other kind to its end before it sends anything.
    content: Any = portions.each_later() if isinstance(request, ASGIRequest) else portions.each()
    name = f"notifications-{clock.now():%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    # So that Django's GZipMiddleware leaves it alone: it compresses each portion by itself, and browsers read one.
    headers["Content-Encoding"] = "identity"
    return StreamingHttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)


class _Portions:
    def __init__(self, rows: NotificationQuerySet, language: str) -> None:
        self._rows = rows.select_related("recipient").order_by("-pk")
        self._language = language
        self._last: int | None = None  # the key of the last row that was written
        self._is_over = False

    def each(self) -> Iterator[str]:
        yield MARK + _write([COLUMNS])
        while not self._is_over:
            yield self._read()

    async def each_later(self) -> AsyncIterator[str]:
        yield MARK + _write([COLUMNS])
        while not self._is_over:
            yield await run(self._read)

    def _read(self) -> str:
        rest = self._rows if self._last is None else self._rows.filter(pk__lt=self._last)
        found = list(rest[:ROWS_AT_ONCE])
        self._is_over = len(found) < ROWS_AT_ONCE
        if found:
            self._last = found[-1].pk
        with override(self._language):
            return _write([_cells(row) for row in found])


def _cells(row: Notification) -> list[str]:
    rendered = row.render()
    own = {"recipient": row.recipient, "title": rendered.title, "message": rendered.message}
    own["data"] = json.dumps(row.data, ensure_ascii=False) if row.data else ""
    return [escape(own[name] if name in own else getattr(row, name)) for name in COLUMNS]


def escape(value: object) -> str:
    """As a cell that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _write(lines: Any) -> str:
    text = io.StringIO()
    # Quoted, because spreadsheets of other countries end a cell at a semicolon, and begin another one there.
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(lines)
    return text.getvalue()
