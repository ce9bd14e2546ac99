"""Shapes of the REST API: what requests must be, what responses are, and so what the OpenAPI document says."""

from typing import Any

from django.contrib.auth import get_user_model
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer, TokenRefreshSerializer
from rest_framework_simplejwt.settings import api_settings

from realtime.auth import tokens, user_ids
from realtime.delivery.texts import say
from realtime.models import SLUG_PATTERN, Membership
from realtime.protocol.errors import Closed, Reason
from realtime.protocol.frames import format_time

MAX_SEQ = 2**63 - 1  # of the database's column
MAX_OFFSET = 2**31 - 1
MAX_USER_IDS = 200


class Shape(serializers.Serializer[Any]):
    # Stores nothing. The docstrings of its subclasses appear in the OpenAPI document, so they speak to its readers.
    pass


@extend_schema_field({"oneOf": [{"type": "integer"}, {"type": "string"}]})
class UserIdField(serializers.Field[Any, Any, Any, Any]):
    allow_blank = True  # in a query: `with=` is refused as no id, instead of being taken for absent
    default_error_messages = {"invalid": _("This is not a valid user id.")}

    def to_internal_value(self, data: Any) -> Any:
        pk = user_ids.read_id(data)
        if pk is None:
            self.fail("invalid")
        return pk

    def to_representation(self, value: Any) -> int | str:
        return user_ids.wire_id(value)


class UserIdsField(serializers.CharField):
    """`1,2,3`; each id is taken once."""

    default_error_messages = {"too_many": _("At most {limit} ids at once.")}

    def to_internal_value(self, data: Any) -> Any:
        given = [item.strip() for item in super().to_internal_value(data).split(",")]
        ids = dict.fromkeys(UserIdField().to_internal_value(item) for item in given if item)
        if len(ids) > MAX_USER_IDS:
            self.fail("too_many", limit=MAX_USER_IDS)
        return list(ids)


class MomentField(serializers.DateTimeField):
    """ISO 8601 in UTC, whatever the site's time zone."""

    def to_representation(self, value: Any) -> str:
        return format_time(value)


class ErrorShape(Shape):
    detail = serializers.CharField(help_text=_("What is wrong, for people, in the language of the request."))
    code = serializers.CharField(help_text=_("A code for programs, such as NOT_FOUND."))


class InvalidShape(ErrorShape):
    errors = serializers.DictField(  # type: ignore[assignment]  # the metaclass takes it away again
        required=False, help_text=_("What is wrong with each field.")
    )


class PageQuery(Shape):
    limit = serializers.IntegerField(
        min_value=1, max_value=1000, default=100, help_text=_("How many entries the page may have.")
    )
    offset = serializers.IntegerField(
        min_value=0, max_value=MAX_OFFSET, default=0, help_text=_("How many entries to skip.")
    )


class CursorQuery(Shape):
    before = serializers.IntegerField(
        min_value=0, max_value=MAX_SEQ, required=False, help_text=_("Only messages before this `seq`.")
    )
    after = serializers.IntegerField(
        min_value=0, max_value=MAX_SEQ, required=False, help_text=_("Only messages after this `seq`.")
    )
    limit = serializers.IntegerField(
        min_value=1, max_value=200, default=50, help_text=_("How many messages the page may have.")
    )


# `with` is a word of Python's, so this field is declared by its name as a string.
DirectQuery = type(
    "DirectQuery",
    (CursorQuery,),
    {"with": UserIdField(required=False, help_text=_("The other user. Leave it out for the messages with everybody."))},
)


class StatusesQuery(Shape):
    user_ids = UserIdsField(help_text=_("User ids, separated by commas; at most 200."))


class LoginShape(TokenObtainPairSerializer):
    access = serializers.CharField(read_only=True)
    refresh = serializers.CharField(read_only=True)

    @classmethod
    def get_token(cls, user: Any) -> Any:
        return tokens.start_login(user)


class RefreshShape(TokenRefreshSerializer):
    # simplejwt's, which also refuses a login that has ended, a password that was changed and a user who is gone.

    refresh = serializers.CharField(help_text=_("The answer has a new one only if the site rotates refresh tokens."))

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        users = get_user_model()._default_manager
        try:
            claims = tokens.to_claims(tokens.verify_refresh(attrs["refresh"]))
            user = users.filter(**{api_settings.USER_ID_FIELD: claims.user_id}).first()
            if user is not None and tokens.matches_password(claims, user):
                return super().validate(attrs)
        except (Closed, ValueError):
            pass
        raise AuthenticationFailed(say(Reason.TOKEN_NOT_VALID))


class LogoutShape(Shape):
    refresh = serializers.CharField(required=False, help_text=_("The refresh token of the login to end."))


class TicketShape(Shape):
    ticket = serializers.CharField()
    expires_in = serializers.IntegerField(help_text=_("For how many seconds the ticket is valid."))


class NewRoomShape(Shape):
    id = serializers.RegexField(
        SLUG_PATTERN, required=False, help_text=_("Leave it out to have one made from the title.")
    )
    title = serializers.CharField(max_length=200)
    private = serializers.BooleanField(default=False, help_text=_("Only members can see a private room."))


class RoomChangesShape(Shape):
    title = serializers.CharField(max_length=200, required=False)
    private = serializers.BooleanField(required=False, help_text=_("Only members can see a private room."))


class RoomShape(Shape):
    id = serializers.CharField(source="slug")
    title = serializers.CharField()
    private = serializers.BooleanField()
    role = serializers.ChoiceField(
        Membership.Role.choices, allow_null=True, help_text=_("Your role; null if you are not a member.")
    )
    members_count = serializers.IntegerField()
    last_seq = serializers.IntegerField(help_text=_("The `seq` of the newest event of the room."))
    last_read_seq = serializers.IntegerField(
        allow_null=True, help_text=_("The `seq` up to which you have read; null if you are not a member.")
    )
    unread = serializers.SerializerMethodField(
        help_text=_("How many events came after `last_read_seq`; null if you are not a member.")
    )
    created_at = MomentField()

    def get_unread(self, room: Any) -> int | None:
        return None if room.last_read_seq is None else room.last_seq - room.last_read_seq


class RoomsShape(Shape):
    count = serializers.IntegerField()
    offset = serializers.IntegerField()
    rooms = RoomShape(many=True)


class NewMemberShape(Shape):
    user_id = UserIdField(required=False, help_text=_("Leave it out to join the room yourself."))
    role = serializers.ChoiceField(Membership.Role.choices, default=Membership.Role.MEMBER)


class MemberShape(Shape):
    user_id = UserIdField()
    username = serializers.CharField(source="user.get_username")
    role = serializers.ChoiceField(Membership.Role.choices)
    joined_at = MomentField()


class MembersShape(Shape):
    count = serializers.IntegerField()
    offset = serializers.IntegerField()
    members = MemberShape(many=True)
