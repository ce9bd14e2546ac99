"""The text of every refusal, in the language of the client. Called by the sockets, the REST API and connections.

This is the only table from reasons to sentences: a new `Reason` needs a line here and a translation in `locale`.
"""

import sys
from collections.abc import Mapping
from functools import lru_cache

from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import get_language, get_language_from_request, override
from django.utils.translation import gettext_lazy as _

from realtime.protocol.errors import Reason, Refused

Headers = Mapping[bytes, bytes]

TEXTS: Mapping[Reason, str | Promise] = {
    # Frames that are not commands
    Reason.NOT_JSON: _("The frame is not valid JSON."),
    Reason.NOT_JSON_AT: _("The frame is not valid JSON (byte %(byte)d)."),
    Reason.NUMBER_OUT_OF_RANGE: _("A number in the frame is too large."),
    Reason.NESTED_TOO_DEEPLY: _("The JSON of the frame is nested too deeply."),
    Reason.BINARY_FRAME: _("Frames are text, not binary."),
    Reason.NOT_AN_OBJECT: _("A frame must be one JSON object."),
    Reason.NOT_A_COMMAND: _("This is not a valid command: %(words)s"),
    Reason.UNKNOWN_COMMAND: _("There is no command `%(name)s`."),
    Reason.UNKNOWN_COMMAND_HERE: _("There is no command `%(name)s` on this socket."),
    # Fields of commands
    Reason.FIELD_MISSING: _("`%(field)s` is missing."),
    Reason.WRONG_TYPE: _("`%(field)s` must be of type `%(expected)s`."),
    Reason.WRONG_TYPE_GOT: _("`%(field)s` must be of type `%(expected)s`, not `%(got)s`."),
    Reason.WRONG_VALUE: _("`%(field)s` cannot be `%(value)s`."),
    Reason.WRONG_PATTERN: _("`%(field)s` must match `%(pattern)s`."),
    Reason.TOO_SHORT: _("`%(field)s` is too short: its length must be at least %(n)d."),
    Reason.TOO_LONG: _("`%(field)s` is too long: its length must be at most %(n)d."),
    Reason.TOO_SMALL: _("`%(field)s` must be at least %(n)d."),
    Reason.TOO_GREAT: _("`%(field)s` must be at most %(n)d."),
    # Commands
    Reason.BATCH_IN_BATCH: _("A batch cannot contain another batch."),
    Reason.DATA_TOO_LARGE: _("`data` is too large."),
    Reason.NEEDS_ROOM_OR_USER: _("A message needs either `room_id` or `to_user_id`."),
    Reason.NEEDS_POSITION_OR_IDS: _("`read` needs either `room_id` and `seq`, or `notification_ids`."),
    Reason.TOO_MANY_COMMANDS: _("Too many commands. Wait a moment."),
    Reason.TOKEN_OF_ANOTHER_USER: _("The token belongs to another user."),
    # Messages
    Reason.MESSAGE_EMPTY: _("A message needs at least one character."),
    Reason.MESSAGE_TOO_LONG: _("A message has at most %(n)d characters."),
    Reason.MESSAGE_TOO_LARGE: _("A message has at most %(n)d bytes."),
    Reason.MESSAGE_HAS_NUL: _("A message cannot contain NUL characters."),
    Reason.MESSAGE_ID_TAKEN: _("This id was used for another message."),
    Reason.WRITING_TO_ONESELF: _("You cannot write to yourself."),
    # Rooms and their members
    Reason.NO_SUCH_ROOM: _("There is no such room."),
    Reason.NO_SUCH_USER: _("There is no such user."),
    Reason.NO_SUCH_MEMBER: _("There is no such member."),
    Reason.NOT_A_MEMBER: _("Only members of the room may do this."),
    Reason.NOT_AN_OWNER: _("Only an owner of the room may do this."),
    Reason.LAST_OWNER: _("The room needs an owner: make somebody else one, or delete the room."),
    Reason.BAD_ROOM_ID: _("A room's id is 1 to 64 of a-z 0-9 - _"),
    Reason.RESERVED_ROOM_ID: _("Ids that begin with direct- are reserved."),
    Reason.ROOM_ID_TAKEN: _("There is a room with this id already."),
    Reason.ROOM_NOT_JOINED: _("This socket has not joined the room."),
    Reason.TOO_MANY_ROOMS: _("This socket has joined too many rooms."),
    # Streams, sessions, notifications
    Reason.NO_SUCH_STREAM: _("There is no such stream."),
    Reason.NO_SUCH_TOPIC: _("There is no such topic."),
    Reason.NOT_SUBSCRIBED: _("This socket is not subscribed to the topic."),
    Reason.NO_SUCH_SESSION: _("There is no such session: resume with your own positions."),
    Reason.NO_NOTIFICATIONS: _("There are no notifications on this site."),
    Reason.NO_SUCH_NOTIFICATION: _("There is no such notification."),
    Reason.NO_SUCH_ACT: _("Notifications cannot be marked in this way."),
    Reason.NO_SUCH_ACTION: _("The notification has no such action."),
    Reason.ACTION_TAKEN: _("Another action of the notification has been taken already."),
    Reason.NO_SUCH_OBJECT: _("There is no such object, or you cannot follow it."),
    Reason.NO_SUCH_ANNOUNCEMENT: _("There is no such announcement, or it is over."),
    Reason.NOT_DISMISSIBLE: _("This announcement cannot be dismissed."),
    Reason.NOT_TO_CONFIRM: _("This announcement need not be confirmed."),
    # Handshakes
    Reason.ORIGIN_NOT_ALLOWED: _("This origin is not allowed."),
    Reason.SERVER_FULL: _("This server is full. Try again later."),
    Reason.NO_SUCH_SOCKET: _("There is no socket at this address."),
    Reason.NO_HANDSHAKE: _("This address opens sockets. A proxy has to pass the headers `Upgrade` and `Connection`."),
    # Requests
    Reason.INVALID_REQUEST: _("The request is not valid."),
    Reason.REQUEST_UNREADABLE: _("The body of the request cannot be read."),
    Reason.REQUEST_NOT_JSON: _("The request is not valid JSON (line %(line)d, column %(column)d)."),
    Reason.REQUEST_TOO_LARGE: _("The request is too large."),
    Reason.TOKEN_EXPIRED: _("The token has expired."),
    Reason.TOKEN_NOT_VALID: _("The token is not valid."),
    Reason.LOGIN_NOT_OURS: _("This login cannot be ended here. End it where it began."),
    # What the server cannot do now
    Reason.DATABASE_AWAY: _("The database is not available. Send it again."),
    Reason.NOTHING_STORED: _("The database is not available. Nothing was stored: send it again."),
    Reason.OUTCOME_UNKNOWN: _(
        "The database did not answer, so it is not known whether this was stored. Send it again with the same `id`."
    ),
    Reason.PRESENCE_AWAY: _("Presence is not available. Send it again."),
    Reason.SESSIONS_AWAY: _("Sessions are not available: resume with your own positions."),
    Reason.TOO_MUCH_WAITING: _("Too much is waiting to be stored. Nothing was stored: send it again."),
    Reason.TOO_MANY_RESUMES: _("Too many sockets are waiting to resume. Try again in a moment."),
    Reason.TRY_AGAIN: _("Try again in a moment."),
    Reason.OUR_FAULT: _("Something went wrong on our side."),
}


def say(reason: Reason, language: str | None = None, **params: str | int) -> str:
    """The text of a reason in `language`. The default is the active language, which Django sets for each request."""
    return _look_up(reason, language or get_language()) % params


def translate(refusal: Refused, language: str | None = None) -> str:
    """The text of a refusal, in the language that `say` would use."""
    return say(refusal.reason, language, **refusal.params)


@lru_cache(maxsize=1024)
def _look_up(reason: Reason, language: str | None) -> str:
    """Cached, so that a flood of bad commands does not switch languages for each answer."""
    with override(language):
        return str(TEXTS[reason])


def language_of(headers: Headers) -> str:
    """The language for a handshake: the first in its `Accept-Language` that the site has, else the site's default."""
    return _choose_language(headers.get(b"accept-language", b"").decode("latin-1"))


@lru_cache(maxsize=256)
def _choose_language(accept_language: str) -> str:
    """Interned, because every open socket keeps its language."""
    request = HttpRequest()
    request.META["HTTP_ACCEPT_LANGUAGE"] = accept_language
    return sys.intern(get_language_from_request(request))
