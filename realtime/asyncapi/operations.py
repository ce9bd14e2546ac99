"""Where the sockets are, how a client authenticates, and what it can do on each: parts of the document.

Called by `document`, which has the messages.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from realtime.asyncapi.channels import ANSWERS, CHANNELS, SOCKET, Channel, name_of
from realtime.conf import Carrier
from realtime.protocol.frames import Ack, ErrorFrame

Part = dict[str, Any]

SESSION_COOKIE = "sessionid"  # unless the site has set SESSION_COOKIE_NAME
SECURITY: Mapping[str, Part] = {
    "token": {
        "type": "httpApiKey",
        "in": "query",
        "name": "token",
        "description": "An access token, from `POST /api/v1/auth/token`. The server does not log it; a proxy may.",
    },
    "ticket": {
        "type": "httpApiKey",
        "in": "query",
        "name": "ticket",
        "description": "A ticket, from `POST /api/v1/ws/ticket`. It opens one socket.",
    },
    "subprotocol": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Sec-WebSocket-Protocol",
        "description": "`realtime.v1, bearer.<access token>`. The server selects `realtime.v1`.",
    },
    "authorization": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token, for clients that are not browsers.",
    },
    "session": {
        "type": "httpApiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "The session cookie of Django, for pages with an allowed `Origin`.",
    },
}
NUMBER = {"type": "string", "pattern": "^[0-9]*$"}
QUERY = {
    "type": "object",
    "properties": {
        "token": {"type": "string", "description": "An access token."},
        "ticket": {"type": "string", "description": "A ticket."},
        "batch": {**NUMBER, "description": "Ask for frames in batches of at most this size, 1 to 1000."},
        "flush_ms": {**NUMBER, "description": "How long a batch may wait, 10 to 60000 milliseconds."},
    },
}


def describe_servers(carriers: Sequence[Carrier]) -> Part:
    credentials = [{"$ref": f"#/components/securitySchemes/{name}"} for name in carriers if name in SECURITY]
    variable = {"default": "example.com", "description": "The host of the site."}
    return {
        "site": {
            "host": "{host}",
            "protocol": "wss",
            "description": "A socket without any of the credentials has to send `auth` at once.",
            "variables": {"host": variable},
            "security": credentials,
        },
        "development": {"host": "127.0.0.1:8000", "protocol": "ws", "security": credentials},
    }


def describe_security(carriers: Sequence[Carrier], cookie: str) -> Part:
    """The credentials that are accepted when a socket is opened. `cookie` is the name of the session cookie."""
    known = {**SECURITY, "session": {**SECURITY["session"], "name": cookie}}
    return {name: known[name] for name in carriers if name in known}


def describe_channel(channel: Channel, also: Sequence[str]) -> Part:
    """`also` are the names of the frames that other apps and the site add."""
    names = [name_of(struct) for struct in (*channel.commands, *channel.frames)] + [*(also if channel.also else ())]
    described: Part = {
        "address": channel.address,
        "title": channel.title,
        "description": channel.description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"ws": {"method": "GET", "query": QUERY, "bindingVersion": "0.1.0"}},
    }
    if channel.parameters:
        described["parameters"] = {name: {"description": text} for name, text in channel.parameters.items()}
    return described


def describe_operations(also: Sequence[str]) -> Part:
    """From the server's point of view: it receives commands, and sends frames."""
    return dict([*_describe_commands(), *(part for channel in CHANNELS for part in _describe_channel(channel, also))])


def _describe_commands() -> Iterator[tuple[str, Part]]:
    for command in SOCKET.commands:
        answer = ANSWERS.get(command, Ack)
        yield (
            f"receive{name_of(command).removesuffix('Command')}",
            {
                "action": "receive",
                "channel": _refer_to(SOCKET),
                "messages": _refer_to_messages(SOCKET, [name_of(command)]),
                "reply": {
                    "channel": _refer_to(SOCKET),
                    "messages": _refer_to_messages(SOCKET, [name_of(answer), name_of(ErrorFrame)]),
                },
            },
        )


def _describe_channel(channel: Channel, also: Sequence[str]) -> Iterator[tuple[str, Part]]:
    title = channel.key[0].upper() + channel.key[1:]
    sent = [name_of(frame) for frame in channel.frames] + [*(also if channel.also else ())]
    yield f"sendOn{title}", _describe_operation(channel, "send", sent)
    if channel is not SOCKET:
        yield f"receiveOn{title}", _describe_operation(channel, "receive", [name_of(one) for one in channel.commands])


def _describe_operation(channel: Channel, action: str, names: Sequence[str]) -> Part:
    return {"action": action, "channel": _refer_to(channel), "messages": _refer_to_messages(channel, names)}


def _refer_to(channel: Channel) -> Part:
    return {"$ref": f"#/channels/{channel.key}"}


def _refer_to_messages(channel: Channel, names: Sequence[str]) -> list[Part]:
    return [{"$ref": f"#/channels/{channel.key}/messages/{name}"} for name in names]
