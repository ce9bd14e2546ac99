"""The catalogue of types in Django's admin: all that are registered, with their numbers, previews and switches.

Types are not rows: a type's key is the primary key of its switch, which may not exist. What staff do is in the admin's
log under that key.
"""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth import get_permission_codename
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.views.decorators.clickjacking import xframe_options_sameorigin

from notifications import conf
from notifications.admin.mixins import StyledMixin
from notifications.admin.type_pages import list_categories, list_facts, list_previews
from notifications.catalogue import previews
from notifications.catalogue.numbers import count_week
from notifications.catalogue.switching import find_switches, switch_type
from notifications.models import TypeSwitch
from notifications.texts import distinct_label_of
from notifications.types import NotificationType, find_type
from realtime.integration import own_transaction

# Mails have their styles in themselves. Nothing else is allowed, whatever the policy of the site.
MAIL_POLICY = "default-src 'none'; img-src https: data:; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"


class TypeAdminMixin(StyledMixin):
    """Goes before `ModelAdmin`. Switching is a right of its own. No page asks first: it can be undone at once."""

    style_sheets = ("notifications/admin.css", "notifications/types.css")
    list_template = "admin/notifications/type/list.html"
    type_template = "admin/notifications/type/type.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.{get_permission_codename('switch', self.opts)}")

    def get_urls(self) -> list[Any]:
        views = {"switch": self.switch_view, "mail": self.mail_view}
        own = [
            path(f"<path:object_id>/{name}/", self.admin_site.admin_view(view), name=self._name(name))
            for name, view in views.items()
        ]
        return [*own, *super().get_urls()]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> TypeSwitch | None:
        """The switch of a registered type. One that was never switched is not stored."""
        if find_type(object_id) is None:
            return None
        return find_switches().get(object_id, TypeSwitch(type=object_id, off=False))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        self._require_view(request)
        week = count_week()
        context = {"title": capfirst(self.opts.verbose_name_plural), "week": week, **(extra_context or {})}
        context["categories"] = list_categories(week, find_switches())
        return self._render(request, self.list_template, context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        kind, switch = self._require_type(request, object_id)
        week = count_week()
        context = {
            "title": distinct_label_of(kind),
            "kind": kind,
            "switch": switch,
            "original": switch,
            "facts": list_facts(kind),
            "gaps": previews.find_gaps(kind),
            "previews": list_previews(kind, request.user),
            "week": week,
            "numbers": week.of(kind.key),
            "may_switch": self.has_switch_permission(request),
        }
        return self._render(request, self.type_template, {**context, **(extra_context or {})})

    def switch_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        kind, switch = self._require_type(request, object_id)
        if not self.has_switch_permission(request):
            raise PermissionDenied
        if request.method != "POST":  # a login leads here if the session had expired
            return HttpResponseRedirect(self.address("change", kind.key))
        if (given := request.POST.get("off")) not in ("0", "1"):
            raise BadRequest("Neither off nor on")
        off = given == "1"
        with own_transaction():
            if switch_type(kind.key, off=off):
                self.log_change(request, switch, str(_("Switched off.") if off else _("Switched on.")))
                text = _("Switched off: nothing of this type is stored or sent.") if off else _("Switched on.")
                messages.success(request, text)
            else:
                messages.warning(request, _("Nothing was changed: somebody else has switched it meanwhile."))
        return HttpResponseRedirect(self.address("change", kind.key))

    @method_decorator(xframe_options_sameorigin)
    def mail_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The HTML of a mail, for the frame on the page of its type."""
        kind, _switch = self._require_type(request, object_id)
        language = request.GET.get("language", "")
        if language not in conf.languages():
            raise Http404
        try:
            html = previews.show(kind, language, request.user).mail.html
        except previews.CannotBeShown as error:
            raise Http404(str(error)) from error
        return HttpResponse(html, headers={"Content-Security-Policy": MAIL_POLICY})

    def address(self, page: str, key: str) -> str:
        return reverse(f"admin:{self._name(page)}", args=[quote(key)], current_app=self.admin_site.name)

    def _name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"

    def _require_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _require_type(self, request: HttpRequest, object_id: str) -> tuple[NotificationType, TypeSwitch]:
        self._require_view(request)
        switch = self.get_object(request, unquote(object_id))
        kind = find_type(switch.type) if switch else None
        if switch is None or kind is None:
            raise Http404
        return kind, switch

    def _render(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        known = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}
        return TemplateResponse(request, template, {**known, **context})


class TypeAdmin(TypeAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    pass
