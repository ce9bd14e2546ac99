"""Keeps tokens out of logs (beside the layers): servers write a socket's path with its query, where a token may be.

`install` is called by the app's `ready`, so it holds under uvicorn's own command, too.
"""

import logging
import re
from typing import Any, TypeGuard

QUERY = re.compile(r"\?[^\s\"']*")
SECRET_HEADERS = {"authorization", "cookie", "sec-websocket-protocol"}
SERVER_LOGGERS = ("uvicorn.error", "uvicorn.access", "daphne.server", "django.channels.server", "websockets.server")


class WithoutQuery(logging.Filter):
    """Cuts the query from every address in a record. It changes records and drops none."""

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
    """Whether a record shows a header that carries a credential: `websockets` writes each one when debugging."""
    return isinstance(args, tuple) and len(args) == 2 and str(args[0]).lower() in SECRET_HEADERS


def _cut(value: Any) -> Any:
    return QUERY.sub("", value) if isinstance(value, str) and "?" in value else value


def install() -> None:
    """Put the filter on the servers' loggers, once."""
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
