"""The steps of an announcement in the admin: a test, publishing, cancelling. A mixin of `AnnouncementAdmin`.

`publish` and `cancel` are rights of their own. Each of these steps has a page that shows what it will do and asks, and
each is in the admin's log.
"""

from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from notifications import clock
from notifications.announcements import audiences, events, publishing
from notifications.models import Announcement
from realtime.integration import StoreUnavailable, own_transaction

State = Announcement.State
UNPUBLISHED = (State.DRAFT, State.SCHEDULED)
OPEN = (State.SCHEDULED, State.LIVE)


class StepsMixin:
    """Goes before `ModelAdmin`."""

    admin_site: Any
    opts: Any
    publish_template = "admin/notifications/announcement/publish.html"
    cancel_template = "admin/notifications/announcement/cancel.html"

    def has_publish_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "publish")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "cancel")

    def _may(self, request: HttpRequest, what: str) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.{get_permission_codename(what, self.opts)}")

    def get_urls(self) -> list[Any]:
        views = {"publish": self.publish_view, "cancel": self.cancel_view}
        own = [
            path(f"<path:object_id>/{step}/", self.admin_site.admin_view(view), name=self._name(step))
            for step, view in views.items()
        ]
        return [*own, *super().get_urls()]  # type: ignore[misc]  # of ModelAdmin

    def publish_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        announcement = self._require(request, object_id, self.has_publish_permission(request))
        if announcement.state not in UNPUBLISHED:
            return self._report(request, announcement, None)
        now = clock.now()
        is_later = announcement.starts_at is not None and announcement.starts_at > now
        if request.method == "POST":
            return self._publish(request, announcement, at_once="_now" in request.POST or not is_later)
        reach, problem = _measure_reach(announcement)
        context = {"title": _("Publish the announcement"), "reach": reach, "problem": problem, "is_later": is_later}
        return self._ask(request, announcement, self.publish_template, context)

    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        announcement = self._require(request, object_id, self.has_cancel_permission(request))
        if announcement.state not in OPEN:
            return self._report(request, announcement, None)
        if request.method == "POST":
            with own_transaction():
                done = publishing.cancel_announcement(announcement)
                return self._report(request, announcement, _("Cancelled.") if done else None)
        return self._ask(request, announcement, self.cancel_template, {"title": _("Cancel the announcement")})

    def after_saving(self, request: HttpRequest, obj: Announcement) -> HttpResponse | None:
        """The next page, if the form was sent with one of the buttons of ours."""
        if "_test" in request.POST:
            events.send_test(obj, request.user)
            self._log(request, obj, _("Sent as a test to oneself."))
            text = _("Your open clients show the test now. Nobody else sees it.")
            messages.success(request, text)
            return HttpResponseRedirect(self.address("change", obj.pk))
        if "_publish" in request.POST and self.has_publish_permission(request):
            return HttpResponseRedirect(self.address("publish", obj.pk))
        return None

    def address(self, step: str, key: int) -> str:
        return reverse(f"admin:{self._name(step)}", args=[key], current_app=self.admin_site.name)

    def _name(self, step: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{step}"

    def _publish(self, request: HttpRequest, announcement: Announcement, *, at_once: bool) -> HttpResponse:
        try:
            with own_transaction():
                if at_once:
                    done, text = publishing.go_live(announcement.pk, clock.now()), _("Published.")
                else:
                    done, text = publishing.publish(announcement), _("Scheduled.")
                return self._report(request, announcement, text if done else None)
        except (ValueError, StoreUnavailable, TimeoutError) as error:  # an audience that cannot be asked now
            messages.error(request, str(error) or type(error).__name__)
            return HttpResponseRedirect(self.address("change", announcement.pk))

    def _require(self, request: HttpRequest, object_id: str, is_allowed: bool) -> Announcement:
        model_admin: Any = self
        found: Announcement | None = model_admin.get_object(request, unquote(object_id))
        if not is_allowed or not model_admin.has_view_or_change_permission(request, found):
            raise PermissionDenied
        if found is None:
            raise Http404
        return found

    def _ask(
        self, request: HttpRequest, announcement: Announcement, template: str, context: dict[str, Any]
    ) -> HttpResponse:
        known = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": announcement,
            "audience_label": audiences.label_of(announcement.audience),
        }
        return TemplateResponse(request, template, {**known, **context})

    def _report(self, request: HttpRequest, announcement: Announcement, done: str | Promise | None) -> HttpResponse:
        """Back to the announcement; with None, nothing was done."""
        if done is None:
            messages.warning(request, _("Somebody else has published, changed or cancelled it meanwhile."))
        else:
            self._log(request, announcement, done)
            messages.success(request, str(done))
        return HttpResponseRedirect(self.address("change", announcement.pk))

    def _log(self, request: HttpRequest, announcement: Announcement, text: str | Promise) -> None:
        model_admin: Any = self
        model_admin.log_change(request, announcement, str(text))


def _measure_reach(announcement: Announcement) -> tuple[int | None, str | Promise]:
    """How many users it would reach now, or why that is not known."""
    try:
        return audiences.count(announcement), ""
    except (StoreUnavailable, TimeoutError):
        return None, _("Who is online cannot be looked up now.")
