"""Announcements in Django's admin: the list with its numbers, and the form. `announcement_steps` has what follows it.

What is scheduled or live can be changed by those who may publish; what is over stays as it was.
"""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.csrf import csrf_protect

from notifications.admin.announcement_forms import AnnouncementForm, TextInline
from notifications.admin.announcement_steps import OPEN, UNPUBLISHED, AnnouncementStepsMixin, find_problem
from notifications.admin.form_fields import KEY_NAME, OPENED, key_in_address
from notifications.admin.mixins import LockedMixin, StyledMixin
from notifications.announcements import audiences, publishing
from notifications.announcements.numbers import numbers_of
from notifications.announcements.wording import words_of
from notifications.models import Announcement, AnnouncementState
from notifications.models.announcement import GROUPS
from realtime.integration import own_transaction, retry_conflicts

FIXED = ["audience_label", "groups", "for_newer"]  # of an announcement that is live, or over, or that is only read


class CountedList(ChangeList):
    """A page of the list, with the numbers of its announcements, which are one query."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: Any = list(self.result_list)
        counted = numbers_of(self.result_list)
        for announcement in self.result_list:
            announcement.numbers = counted[announcement.pk]


class AnnouncementAdminMixin(AnnouncementStepsMixin, LockedMixin, StyledMixin):
    """Goes before `ModelAdmin`."""

    style_sheets = ("notifications/admin.css",)
    form = AnnouncementForm
    inlines = [TextInline]
    radio_fields = {"closing": admin.VERTICAL}
    filter_horizontal = ["groups"]
    list_display = ["headline", "state", "audience_label", "reached", "seen", "read", "confirmed", "live_at"]
    list_display_links = ["headline"]
    list_filter = ["state", "level", "created_at"]
    search_fields = ["texts__title", "texts__message"]
    date_hierarchy = "created_at"
    actions = ["publish_selected", "cancel_selected"]
    list_per_page = 20  # all readers of those on a page are counted
    change_form_template = "admin/notifications/announcement/change_form.html"

    def has_change_permission(self, request: HttpRequest, obj: Announcement | None = None) -> bool:
        """A change of what is scheduled or live is as good as published."""
        if not super().has_change_permission(request, obj):
            return False
        return obj is None or obj.state == "draft" or (obj.state in OPEN and self.has_publish_permission(request))

    # The list

    def get_queryset(self, request: HttpRequest) -> QuerySet[Announcement]:
        return super().get_queryset(request).prefetch_related("texts")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CountedList

    @admin.display(description=_("title"))
    def headline(self, announcement: Announcement) -> str:
        words = words_of(announcement)
        return words.title if words else str(announcement)

    @admin.display(description=_("audience"), ordering="audience")
    def audience_label(self, announcement: Announcement) -> str:
        return str(audiences.label_of(announcement.audience))

    @admin.display(description=_("seen"))
    def seen(self, announcement: Any) -> int:
        return int(announcement.numbers.seen)

    @admin.display(description=_("read"))
    def read(self, announcement: Any) -> int:
        return int(announcement.numbers.read)

    @admin.display(description=_("confirmed"))
    def confirmed(self, announcement: Any) -> int:
        return int(announcement.numbers.confirmed)

    @admin.action(description=_("Publish the selected announcement…"), permissions=["publish"])
    def publish_selected(self, request: HttpRequest, queryset: QuerySet[Announcement]) -> HttpResponse | None:
        keys = list(queryset.values_list("pk", flat=True)[:2])
        if len(keys) == 1:
            return HttpResponseRedirect(self.address("publish", keys[0]))
        messages.warning(request, _("Select one announcement: a preview comes first."))
        return None

    @admin.action(description=_("Cancel selected announcements"), permissions=["cancel"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Announcement]) -> None:
        count = sum(self._cancel(request, announcement) for announcement in queryset)
        text = ngettext("%(count)d announcement was cancelled.", "%(count)d announcements were cancelled.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS if count else messages.WARNING)

    @retry_conflicts
    def _cancel(self, request: HttpRequest, announcement: Announcement) -> bool:
        with own_transaction():
            is_done = publishing.cancel_announcement(announcement)
            if is_done:
                self.log_change(request, announcement, str(_("Cancelled.")))
        return is_done

    # The form

    def get_fieldsets(self, request: HttpRequest, obj: Announcement | None = None) -> Any:
        was_live = obj is not None and obj.live_at is not None
        is_fixed = self._has_fixed_readers(request, obj)
        readers = FIXED if is_fixed else ["audience", "groups", "for_newer"]
        if not audiences.has_groups() or (obj is not None and is_fixed and obj.audience != GROUPS):
            readers = [name for name in readers if name != "groups"]
        hidden = KEY_NAME if obj is None else OPENED
        is_changed = obj is None or self.has_change_permission(request, obj)
        return [
            (_("Appearance"), {"fields": ["level", "link", "closing", *([hidden] if is_changed else [])]}),
            (_("Readers"), {"fields": readers}),
            (_("Time"), {"fields": ["ends_at"] if was_live else ["starts_at", "ends_at"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Announcement | None = None) -> list[str]:
        return FIXED if self._has_fixed_readers(request, obj) else []

    def _has_fixed_readers(self, request: HttpRequest, obj: Announcement | None) -> bool:
        return obj is not None and (obj.live_at is not None or not self.has_change_permission(request, obj))

    @method_decorator(csrf_protect)
    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """A form that is sent twice, or opened after it was sent, leads to the announcement that it made."""
        # As the form cleans it.
        sent = request.POST.get(KEY_NAME, "").replace("\0", "").strip()
        key = (sent or key_in_address(request)) if object_id is None else ""
        if (answer := self._answer_again(request, key)) is not None:
            return answer
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except IntegrityError:  # it was sent twice at the same moment
            if (answer := self._answer_again(request, key)) is not None:
                return answer
            raise
        except PermissionDenied:
            if (answer := self._answer_late(request, object_id)) is not None:
                return answer
            raise

    def _answer_late(self, request: HttpRequest, object_id: str | None) -> HttpResponse | None:
        """To one who might have changed it when they opened its form: somebody else has published or ended it."""
        if object_id is None or request.method != "POST" or not super().has_change_permission(request):
            return None
        found = self.get_object(request, unquote(object_id))
        if found is None or found.state == Announcement.State.DRAFT:
            return None
        text = _("Your changes were not saved: the announcement is %(state)s by now.")
        messages.warning(request, text % {"state": found.get_state_display()})
        return self.lead_to(request, found)

    def _answer_again(self, request: HttpRequest, key: str) -> HttpResponse | None:
        found = Announcement.objects.filter(dedupe_key=key).first() if key else None
        if found is None or not self.has_add_permission(request):
            return None
        messages.warning(request, _("This form was sent before. Here is the announcement that it made."))
        return self.lead_to(request, found)

    def save_model(self, request: HttpRequest, obj: Announcement, form: Any, change: bool) -> None:
        if not change:
            obj.created_by_id = request.user.pk
            obj.dedupe_key = form.cleaned_data.get("form_key", "")
            obj.save()
        # Its state is not the form's.
        elif changed := {field.name for field in obj._meta.concrete_fields} & set(form.changed_data):
            obj.save(update_fields=changed)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        has_changed = form.has_changed() or any(formset.has_changed() for formset in formsets)
        if change and has_changed and form.instance.is_live and publishing.note_change(form.instance):
            messages.success(request, _("Open clients show the change within a minute."))

    def response_add(self, request: HttpRequest, obj: Announcement, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.after_saving(request, obj) or super().response_add(request, obj, *args, **kwargs)

    def response_change(self, request: HttpRequest, obj: Announcement) -> HttpResponse:
        return self.after_saving(request, obj) or super().response_change(request, obj)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        obj: Announcement | None = kwargs.get("obj")
        context["show_save_and_add_another"] = False  # there are enough buttons
        context["show_publish"] = self.may_preview(request) and (obj is None or obj.state in UNPUBLISHED)
        if obj is not None:
            context["show_cancel"] = self.has_cancel_permission(request) and obj.state in OPEN
            context["numbers"] = numbers_of([obj])[obj.pk]
            context["audience_label"] = audiences.label_of(obj.audience)
            context["problem"] = find_problem(obj) if obj.over_at is None else ""
        return super().render_change_form(request, context, *args, **kwargs)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Only the number of readers is shown: a list of them could be endless."""
        keys = [announcement.pk for announcement in objs]
        readers = AnnouncementState.objects.filter(announcement__in=keys).count()
        counts = {
            str(self.opts.verbose_name_plural): len(keys),
            str(AnnouncementState._meta.verbose_name_plural): readers,
        }
        return [str(announcement) for announcement in objs], counts, set(), []


class AnnouncementAdmin(AnnouncementAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    pass
