"""Removes tokens from logs: servers log a socket's path with its query, which may contain a token.

The app's `ready` calls `install`, so it also works under uvicorn's own command.
"""

import logging
import re
from typing import Any, TypeGuard

QUERY = re.compile(r"\?[^\s\"']*")
SECRET_HEADERS = {"authorization", "cookie", "sec-websocket-protocol"}
SERVER_LOGGERS = ("uvicorn.error", "uvicorn.access", "daphne.server", "django.channels.server", "websockets.server")


class WithoutQuery(logging.Filter):
    """Removes the query from every address in a log record. It changes records and drops none."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _is_header(record.args):
            record.args = (record.args[0], "…")
        if isinstance(record.args, tuple):
            record.args = tuple(_cut(value) for value in record.args)
        elif isinstance(record.args, dict):
            record.args = {key: _cut(value) for key, value in record.args.items()}
        if isinstance(record.msg, str):
            record.msg = _cut(record.msg)
        return True


def _is_header(args: Any) -> TypeGuard[tuple[object, object]]:
    """Whether a record shows a header with a credential: in debug mode, `websockets` logs every header."""
    return isinstance(args, tuple) and len(args) == 2 and str(args[0]).lower() in SECRET_HEADERS


def _cut(value: Any) -> Any:
    return QUERY.sub("", value) if isinstance(value, str) and "?" in value else value


def install() -> None:
    """Add the filter to the loggers of all servers, once to each."""
    for name in SERVER_LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(present, WithoutQuery) for present in logger.filters):
            logger.addFilter(WithoutQuery())


LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "uvicorn": {"handlers": ["console"], "level": "INFO", "propagate": False},
        "uvicorn.error": {"level": "INFO"},
        "uvicorn.access": {"handlers": ["console"], "level": "INFO", "propagate": False},
    },
}
