"""What staff have sent, in the admin: how far it is, and how it is stopped, resumed and withdrawn."""

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from notifications import dispatching
from notifications.admin.mixins import RecordAdminMixin, StyledMixin
from notifications.admin.steps import StepsMixin
from notifications.models import Dispatch, Notification
from notifications.previews import Preview, render_all
from notifications.types import find_type
from realtime.integration import display_name, own_transaction

State = Dispatch.State
FIELDS = ["type_label", "audience", "groups", "params", "data", "link", "actor", "created_by", "created_at", "error"]


class DispatchAdminMixin(StepsMixin, RecordAdminMixin, StyledMixin):
    """Goes before `ModelAdmin`, or before that of another theme."""

    list_display = ["type_label", "audience", "state", "stored", "created_by", "created_at"]
    list_display_links = ["type_label"]
    list_filter = ["state", "audience"]
    list_select_related = ["created_by"]
    date_hierarchy = "created_at"
    change_form_template = "admin/notifications/dispatch/change_form.html"
    step_template = "admin/notifications/dispatch/step.html"

    style_sheets = ("notifications/admin.css",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_send_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "send")

    def has_withdraw_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "delete")

    def _may(self, request: HttpRequest, what: str) -> bool:
        user: Any = request.user
        return bool(user.has_perm(f"{self.opts.app_label}.{what}_{Notification._meta.model_name}"))

    def get_fields(self, request: HttpRequest, obj: Dispatch | None = None) -> Any:
        """Those that are not empty."""
        if obj is None:
            return FIELDS
        without = [] if obj.audience == Dispatch.Audience.GROUPS else ["groups"]
        without += [name for name in ("params", "data", "link", "actor", "error") if not getattr(obj, name)]
        return [name for name in FIELDS if name not in without]

    @admin.display(description=_("type"), ordering="type")
    def type_label(self, row: Dispatch) -> str:
        return str(row)

    def step_views(self) -> Mapping[str, Any]:
        return {"stop": self.stop_view, "resume": self.resume_view, "withdraw": self.withdraw_view}

    def stop_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.require_object(request, object_id, self.has_send_permission(request))
        return self._change(request, row, dispatching.stop, _("Stopped."))

    def resume_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.require_object(request, object_id, self.has_send_permission(request))
        return self._change(request, row, dispatching.resume, _("Resumed."))

    def withdraw_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.require_object(request, object_id, self.has_withdraw_permission(request))
        if request.method != "POST":
            context = {"title": _("Withdraw it"), "original": row, "previews": preview(row), **level_of(row)}
            return self.show_step(request, self.step_template, context)
        return self._change(request, row, dispatching.take_back, _("Being withdrawn."))

    def _change(
        self, request: HttpRequest, row: Dispatch, step: Callable[[int], bool], done: str | Promise
    ) -> HttpResponse:
        if request.method != "POST":  # a login leads here if the session had expired
            return HttpResponseRedirect(self.address("change", row.pk))
        with own_transaction():
            is_done = step(row.pk)
            if is_done:
                self.log_step(request, row, done)
        if is_done:
            dispatching.take_step(row.pk)
            row.refresh_from_db()
            if row.error:
                messages.error(request, row.error)
            else:
                messages.success(request, str(done))
        else:
            messages.warning(request, _("Somebody else has changed it meanwhile."))
        return HttpResponseRedirect(self.address("change", row.pk))

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        row: Dispatch | None = kwargs.get("obj")
        if row is not None:
            can_send = self.has_send_permission(request)
            can_withdraw = self.has_withdraw_permission(request) and bool(row.stored)
            context |= {
                "previews": preview(row),
                **level_of(row),
                "list_address": self._find_list(request, row),
                "can_stop": can_send and row.state == State.SENDING,
                "can_resume": can_send and row.state in (State.STOPPED, State.FAILED),
                "can_withdraw": can_withdraw and row.state not in (State.WITHDRAWING, State.WITHDRAWN),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def _find_list(self, request: HttpRequest, row: Dispatch) -> str:
        """The list of what it has stored; "" for those who may not see it."""
        notifications = self.admin_site._registry.get(Notification)
        if notifications is None or not notifications.has_view_permission(request):
            return ""
        name = f"admin:{self.opts.app_label}_{Notification._meta.model_name}_changelist"
        return f"{reverse(name, current_app=self.admin_site.name)}?dedupe_key={row.dedupe_key}"


class DispatchAdmin(DispatchAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    pass


def level_of(row: Dispatch) -> dict[str, str]:
    kind = find_type(row.type)
    return {"level": kind.level if kind else "info"}


def preview(row: Dispatch) -> list[Preview]:
    """Nothing, if its type does not say it any more."""
    kind = find_type(row.type)
    params = row.params if row.actor is None else {**row.params, "actor": display_name(row.actor)}
    try:
        words: Any = {"title": row.title or None, "message": row.message, "link": row.link}
        return render_all(kind, params, **words) if kind else []
    except (ValueError, TypeError):
        return []
