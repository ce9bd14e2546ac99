"""The admin of rooms, members and messages. Streams and events belong to the log and are not shown."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from realtime.chat import rooms
from realtime.delivery.refusal_texts import translate
from realtime.models import Membership, Message, Room
from realtime.protocol.errors import Refused

# The members that a room's form shows. With more, the form could exceed DATA_UPLOAD_MAX_NUMBER_FIELDS; the list of
# members has no such limit.
INLINE_MEMBERS = 100


# Django's forms and admin classes are generic in the type stubs only: hence the ignored errors here and below.
class RoomForm(ModelForm):  # type: ignore[type-arg]
    def clean_slug(self) -> str:
        slug: str = self.cleaned_data["slug"]
        try:
            return rooms.check_slug(slug)
        except Refused as refusal:
            raise ValidationError(translate(refusal)) from None


class MemberInline(admin.TabularInline):  # type: ignore[type-arg]
    """The members. The user is only shown: a choice of users would cost a query for each row."""

    model = Membership
    verbose_name = _("member")
    verbose_name_plural = _("members")
    fields = ["user", "role", "joined_at"]
    readonly_fields = ["user", "joined_at"]
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).select_related("user", "room").order_by("pk")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class NewMemberInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Membership
    fields = ["user", "role"]
    raw_id_fields = ["user"]
    extra = 1
    can_delete = False
    verbose_name = _("new member")
    verbose_name_plural = _("new members")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).none()


@admin.register(Room)
class RoomAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = RoomForm
    list_display = ["slug", "title", "private", "direct", "members", "written", "created_by", "created_at"]
    list_display_links = ["slug", "title"]
    list_filter = ["private", "direct", "created_at"]
    list_select_related = ["created_by"]
    search_fields = ["slug", "title"]
    raw_id_fields = ["created_by"]
    readonly_fields = ["direct", "created_at"]
    fields = ["slug", "title", "private", "direct", "created_by", "created_at"]
    date_hierarchy = "created_at"
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Room]:
        return rooms.count(super().get_queryset(request))

    def get_readonly_fields(self, request: HttpRequest, obj: Room | None = None) -> list[str]:
        # The slug is part of the room's stream and address, so with another slug it would be another room.
        return ["slug", *self.readonly_fields] if obj else self.readonly_fields

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        crowded = obj is not None and obj.memberships.count() > INLINE_MEMBERS
        return [NewMemberInline] if crowded or obj is None else [MemberInline, NewMemberInline]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Show only the numbers of what is deleted with the rooms: a list of all messages could be endless."""
        keys = [room.pk for room in objs]
        counts = {
            str(model._meta.verbose_name_plural): model._default_manager.filter(room__in=keys).count()
            for model in (Membership, Message)
        }
        return [str(room) for room in objs], {str(Room._meta.verbose_name_plural): len(keys), **counts}, set(), []

    @admin.display(description=_("members"), ordering="members_count")
    def members(self, room: Any) -> str:
        address = reverse("admin:realtime_membership_changelist")
        return format_html('<a href="{}?room__id__exact={}">{}</a>', address, room.pk, room.members_count)

    @admin.display(description=_("events"), ordering="last_seq")
    def written(self, room: Any) -> int:
        return int(room.last_seq)


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["user", "room", "role", "joined_at", "last_read_seq"]
    list_filter = ["role", "joined_at"]
    search_fields = ["room__slug", "room__title", f"user__{get_user_model().USERNAME_FIELD}"]
    raw_id_fields = ["user", "room"]
    readonly_fields = ["joined_at", "last_read_seq"]
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).select_related("user", "room")

    def get_readonly_fields(self, request: HttpRequest, obj: Membership | None = None) -> list[str]:
        # To change the user or the room, delete the membership: only that announces its end to the user's sockets.
        return ["user", "room", *self.readonly_fields] if obj else self.readonly_fields


@admin.register(Message)
class MessageAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Messages, to read and to search. They cannot be changed or deleted: clients have received them already."""

    list_display = ["created_at", "room", "sender", "recipient", "excerpt", "kind", "seq"]
    list_display_links = ["created_at", "excerpt"]
    list_filter = ["kind", "created_at"]
    search_fields = ["text", "room__slug"]
    ordering = ["-pk"]
    show_full_result_count = False
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        return super().get_queryset(request).select_related("room", "sender", "recipient")

    @admin.display(description=_("text"))
    def excerpt(self, message: Message) -> str:
        return Truncator(message.text).chars(80)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
