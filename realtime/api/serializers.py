"""Shapes of requests and responses of the REST API, which the OpenAPI document also shows. Used by the views."""

from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt.serializers import (
    TokenObtainPairSerializer,
    TokenObtainSerializer,
    TokenRefreshSerializer,
)
from rest_framework_simplejwt.settings import api_settings

from realtime.auth import tokens, user_ids
from realtime.auth.site_tokens import NOT_AN_ID
from realtime.auth.users import all_users, normalize_name
from realtime.delivery.refusal_texts import say
from realtime.models import SLUG_PATTERN, Membership
from realtime.protocol.errors import Closed, Reason
from realtime.protocol.frames import format_time

MAX_SEQ = 2**63 - 1  # limit of the database's column
MAX_OFFSET = 2**31 - 1
MAX_USER_IDS = 200
# Before the names of structs in the OpenAPI document, such as `Group` and `Item`: shapes of the site may be called so.
PREFIX = "Realtime"
REF = f"#/components/schemas/{PREFIX}{{name}}"


class Shape(serializers.Serializer[Any]):
    # Base of all shapes; stores nothing. The docstrings of subclasses appear in the OpenAPI document, so they are
    # written for its readers.
    pass


class UserIdField(serializers.Field[Any, Any, Any, Any]):
    # So that an empty `with=` in a query is refused as a bad id; otherwise it would count as absent.
    allow_blank = True
    default_error_messages = {"invalid": _("This is not a valid user id.")}

    def to_internal_value(self, data: Any) -> Any:
        pk = user_ids.read_id(data)
        if pk is None:
            self.fail("invalid")
        return pk

    def to_representation(self, value: Any) -> int | str:
        return user_ids.wire_id(value)


class UserIdsField(serializers.CharField):
    """Ids separated by commas, such as `1,2,3`. Repeated ids count once."""

    default_error_messages = {"too_many": _("At most {limit} ids at once.")}

    def to_internal_value(self, data: Any) -> Any:
        given = [item.strip() for item in super().to_internal_value(data).split(",")]
        ids = dict.fromkeys(UserIdField().to_internal_value(item) for item in given if item)
        if len(ids) > MAX_USER_IDS:
            self.fail("too_many", limit=MAX_USER_IDS)
        return list(ids)


class MomentField(serializers.DateTimeField):
    """A time in ISO 8601 and UTC, whatever the site's time zone is."""

    def to_representation(self, value: Any) -> str:
        return format_time(value)


class ErrorShape(Shape):
    detail = serializers.CharField(help_text=_("What is wrong, for people, in the language of the request."))
    code = serializers.CharField(help_text=_("A code for programs, such as NOT_FOUND."))


class InvalidShape(ErrorShape):
    # The type checker sees a clash with `Serializer.errors`; the metaclass removes this attribute from the class.
    errors = serializers.DictField(  # type: ignore[assignment]
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


# `with` is a keyword of Python, so this field's name must be given as a string.
DirectQuery = type(
    "DirectQuery",
    (CursorQuery,),
    {"with": UserIdField(required=False, help_text=_("The other user. Leave it out for the messages with everybody."))},
)


class StatusesQuery(Shape):
    user_ids = UserIdsField(help_text=_("User ids, separated by commas; at most 200."))


class LoginNames(TokenObtainSerializer):
    def validate(self, attrs: dict[str, Any]) -> dict[Any, Any]:
        # Names are stored in this form, and the login page of Django's admin brings them into it.
        name = attrs[self.username_field]
        return super().validate({**attrs, self.username_field: normalize_name(name)})


class LoginShape(TokenObtainPairSerializer):
    # For the OpenAPI document. What reads a login is the site's (`login_shapes`).
    access = serializers.CharField(read_only=True)
    refresh = serializers.CharField(read_only=True)


class RefreshShape(TokenRefreshSerializer):
    # simplejwt's serializer, which here also refuses a login that has ended, a changed password and a deleted user.
    token_class = tokens.RotatedToken

    refresh = serializers.CharField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        try:
            claims = tokens.to_claims(tokens.verify_refresh(attrs["refresh"]))
            user = all_users().filter(**{api_settings.USER_ID_FIELD: claims.user_id}).first()
            if user is not None and tokens.matches_password(claims, user):
                return super().validate(attrs)
        except (Closed, *NOT_AN_ID, ObjectDoesNotExist):  # the last one from a replica that does not have the user yet
            pass
        raise AuthenticationFailed(say(Reason.TOKEN_NOT_VALID))


class RenewedShape(Shape):
    access = serializers.CharField()
    refresh = serializers.CharField(
        required=False, help_text=_("The answer has a new one only if the site rotates refresh tokens.")
    )


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
    role = serializers.ChoiceField(
        Membership.Role.choices,
        required=False,
        help_text=_("Leave it out to keep the role of a member. Somebody new becomes a member."),
    )


class MemberShape(Shape):
    user_id = UserIdField()
    username = serializers.SerializerMethodField(
        help_text=_("Empty for somebody whom an owner added and who has not opened the room yet.")
    )
    role = serializers.ChoiceField(Membership.Role.choices)
    joined_at = MomentField()

    def get_username(self, membership: Membership) -> str:
        # Only the names that the reader may see are there.
        return str(self.context["names"].get(membership.user_id, ""))


class MembersShape(Shape):
    count = serializers.IntegerField()
    offset = serializers.IntegerField()
    members = MemberShape(many=True)
