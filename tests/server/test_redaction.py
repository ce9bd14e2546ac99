"""No token gets into a log."""

import logging

import pytest

from realtime.server.redaction import LOGGING, SERVER_LOGGERS, WithoutQuery, install

SECRET = "eyJhbGciOi.secret-token"
PATH = f"/api/v1/ws?token={SECRET}"


def render(message, *args):
    record = logging.getLogger("test").makeRecord("test", logging.INFO, "file", 1, message, args, None)
    assert WithoutQuery().filter(record)
    return record.getMessage()


@pytest.mark.parametrize(
    ("message", "args", "expected"),
    [
        ('%s - "WebSocket %s" [accepted]', (("::1", 5), PATH), "('::1', 5) - \"WebSocket /api/v1/ws\" [accepted]"),
        ('%s - "%s %s HTTP/%s" %d', ("::1:5", "GET", PATH, "1.1", 200), '::1:5 - "GET /api/v1/ws HTTP/1.1" 200'),
        (
            "WebSocket CONNECT %(path)s [%(client)s]",
            ({"path": PATH, "client": "me"},),
            "WebSocket CONNECT /api/v1/ws [me]",
        ),
        (f"opened {PATH}&ticket={SECRET} at once", (), "opened /api/v1/ws at once"),
        (f"\"{PATH}\" and '{PATH}'", (), "\"/api/v1/ws\" and '/api/v1/ws'"),
        ("nothing to hide: %s, %d", ("/api/v1/ws", 7), "nothing to hide: /api/v1/ws, 7"),
    ],
)
def test_it_cuts_the_query_from_every_address(message, args, expected):
    rendered = render(message, *args)
    assert rendered == expected
    assert SECRET not in rendered


def test_it_leaves_what_is_no_text_alone():
    assert render("%s %s %.1f", None, b"raw", 1.0) == "None b'raw' 1.0"
    marker = object()
    assert render(marker) == str(marker)


@pytest.mark.parametrize("name", SERVER_LOGGERS)
def test_it_is_installed_once_on_each_servers_logger(name):
    install()
    install()
    assert len([present for present in logging.getLogger(name).filters if isinstance(present, WithoutQuery)]) == 1


@pytest.mark.parametrize("name", ["uvicorn.error", "uvicorn.access", "django.channels.server"])
def test_it_keeps_the_token_out_of_what_servers_write(name, caplog):
    logger = logging.getLogger(name)
    logger.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.INFO, logger=name):
            logger.info('%s - "WebSocket %s" 403', "::1", PATH)
    finally:
        logger.removeHandler(caplog.handler)
    assert '"WebSocket /api/v1/ws" 403' in caplog.text
    assert SECRET not in caplog.text


def test_it_offers_logging_that_uvicorn_takes():
    assert set(LOGGING["loggers"]) == {"uvicorn", "uvicorn.error", "uvicorn.access"}
    assert not LOGGING["disable_existing_loggers"]
