"""The admin of rooms, members and messages. Streams and events belong to the log and are not shown."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import BaseInlineFormSet, ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from realtime.admin.mixins import StyledMixin
from realtime.auth.bounded_lists import BoundedLists
from realtime.auth.excerpts import shorten
from realtime.auth.user_choice import ChoosesUsers, FindsUsers
from realtime.chat import rooms
from realtime.delivery.refusal_texts import translate
from realtime.models import Membership, Message, Room
from realtime.protocol.errors import Refused

# The members that a room's form shows. With more, the form could exceed DATA_UPLOAD_MAX_NUMBER_FIELDS; the list of
# members has no such limit.
INLINE_MEMBERS = 100
NAME_CHARS = 30  # of a name in a list
EXCERPT_CHARS = 80  # of a message in a list
DIRECT_SLUG_CHARS = 14  # of a slug that nobody has chosen


def column(field: str, label: Any) -> Any:
    """A column of a list with the beginning of a name. A long one would leave no room for the other columns.

    Django does not break the names of related objects at all.
    """

    @admin.display(description=label, ordering=field)
    def show(_admin: Any, row: Any) -> str | None:
        name = getattr(row, field)
        return None if name is None else shorten(str(name), NAME_CHARS)

    return show


# Django's forms and admin classes are generic in the type stubs only: hence the ignored errors here and below.
class RoomForm(ModelForm):  # type: ignore[type-arg]
    def clean_slug(self) -> str:
        slug: str = self.cleaned_data["slug"]
        try:
            return rooms.check_slug(slug)
        except Refused as refusal:
            raise ValidationError(translate(refusal)) from None


class MemberFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    def clean(self) -> None:
        """Django refuses rows that are gone, and says so nowhere on the page."""
        super().clean()
        if any(form.instance.pk is None for form in self.initial_forms):
            raise ValidationError(_("A member has left meanwhile. Load the page again."))


class NewMemberFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    def clean(self) -> None:
        """Django does not compare new rows with the stored ones where they have the row of the page in common."""
        super().clean()
        for form in self.forms:
            user = form.cleaned_data.get("user") if form.is_valid() else None
            if user is not None and Membership.objects.filter(room=self.instance.pk, user=user.pk).exists():
                form.add_error("user", form.instance.unique_error_message(Membership, ("room", "user")))


class MemberInline(admin.TabularInline):  # type: ignore[type-arg]
    """The members. The user is only shown: a choice of users would cost a query for each row."""

    model = Membership
    formset = MemberFormSet
    verbose_name = _("member")
    verbose_name_plural = _("members")
    fields = ["user", "role", "joined_at"]
    readonly_fields = ["user", "joined_at"]
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).select_related("user", "room").order_by("pk")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class NewMemberInline(ChoosesUsers, admin.TabularInline):  # type: ignore[type-arg]
    model = Membership
    formset = NewMemberFormSet
    fields = ["user", "role"]
    extra = 1
    can_delete = False
    verbose_name = _("new member")
    verbose_name_plural = _("new members")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).none()


class RoomAdminMixin(FindsUsers, BoundedLists, StyledMixin):
    form = RoomForm
    list_display = ["short_slug", "short_title", "private", "direct", "members", "written", "creator", "created_at"]
    list_display_links = ["short_slug", "short_title"]
    list_filter = ["private", "direct", "created_at"]
    list_select_related = ["created_by"]
    search_fields = ["slug", "title"]
    readonly_fields = ["direct", "created_at"]
    fields = ["slug", "title", "private", "direct", "created_by", "created_at"]
    list_per_page = 50
    short_title = column("title", _("title"))
    creator = column("created_by", _("created by"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Room]:
        return rooms.count(super().get_queryset(request))

    def get_readonly_fields(self, request: HttpRequest, obj: Room | None = None) -> list[str]:
        if obj is None:
            return self.readonly_fields
        # The slug is part of the room's stream and address, so with another slug it would be another room. A direct
        # room is private: the database holds nothing else, and the form does not know that.
        return ["slug", *(["private"] if obj.direct else []), *self.readonly_fields]

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        crowded = obj is not None and obj.memberships.all()[: INLINE_MEMBERS + 1].count() > INLINE_MEMBERS
        return [NewMemberInline] if crowded or obj is None else [MemberInline, NewMemberInline]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Show only the numbers of what is deleted with the rooms: a list of all messages could be endless."""
        keys = [room.pk for room in objs]
        counts = {
            str(model._meta.verbose_name_plural): model._default_manager.filter(room__in=keys).count()
            for model in (Membership, Message)
        }
        return [str(room) for room in objs], {str(Room._meta.verbose_name_plural): len(keys), **counts}, set(), []

    @admin.display(description=_("slug"), ordering="slug")
    def short_slug(self, room: Room) -> str:
        return shorten(room.slug, DIRECT_SLUG_CHARS if room.direct else NAME_CHARS)

    def get_list_display(self, request: HttpRequest) -> Any:
        """The numbers of members lead to them for those who may see them."""
        memberships = self.admin_site._registry.get(Membership)
        links = memberships is not None and memberships.has_view_permission(request)
        shown = super().get_list_display(request)
        return [("members_count" if name == "members" and not links else name) for name in shown]

    @admin.display(description=_("members"), ordering="members_count")
    def members(self, room: Any) -> str:
        address = reverse("admin:realtime_membership_changelist", current_app=self.admin_site.name)
        return format_html('<a href="{}?room__id__exact={}">{}</a>', address, room.pk, room.members_count)

    @admin.display(description=_("members"), ordering="members_count")
    def members_count(self, room: Any) -> int:
        return int(room.members_count)

    @admin.display(description=_("events"), ordering="last_seq")
    def written(self, room: Any) -> int:
        return int(room.last_seq)


class MembershipAdminMixin(FindsUsers, BoundedLists, StyledMixin):
    list_display = ["member", "short_room", "role", "joined_at", "last_read_seq"]
    list_filter = ["role", "joined_at"]
    search_fields = ["room__slug", "room__title", f"user__{get_user_model().USERNAME_FIELD}"]
    raw_id_fields = ["room"]
    readonly_fields = ["joined_at", "last_read_seq"]
    list_per_page = 50
    member = column("user", _("user"))
    short_room = column("room", _("room"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).select_related("user", "room")

    def get_readonly_fields(self, request: HttpRequest, obj: Membership | None = None) -> list[str]:
        # To change the user or the room, delete the membership: only that announces its end to the user's sockets.
        return ["user", "room", *self.readonly_fields] if obj else self.readonly_fields

    def get_autocomplete_fields(self, request: HttpRequest) -> list[str]:
        """The room is chosen by name by those who may see rooms; others give its number."""
        room_admin = self.admin_site._registry.get(Room)
        return ["room"] if room_admin is not None and room_admin.has_view_permission(request) else []


class MessageAdminMixin(BoundedLists, StyledMixin):
    """Messages, to read and to search. They cannot be changed or deleted: clients have received them already."""

    list_display = ["created_at", "excerpt", "short_room", "from_user", "to_user", "kind", "seq"]
    list_display_links = ["created_at", "excerpt"]
    list_filter = ["kind", "created_at"]
    search_fields = ["text", "room__slug"]
    ordering = ["-pk"]
    list_per_page = 50
    short_room = column("room", _("room"))
    from_user = column("sender", _("sender"))
    to_user = column("recipient", _("recipient"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        return super().get_queryset(request).select_related("room", "sender", "recipient")

    @admin.display(description=_("text"))
    def excerpt(self, message: Message) -> str:
        return shorten(message.text, EXCERPT_CHARS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RoomAdmin(RoomAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    pass


class MembershipAdmin(MembershipAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    pass


class MessageAdmin(MessageAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    pass
