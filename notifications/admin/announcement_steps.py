"""The steps of an announcement in the admin: a test, publishing, cancelling. A mixin of `AnnouncementAdmin`.

`publish` and `cancel` are rights of their own. Each of these steps has a page that shows what it will do and asks, and
each is in the admin's log.
"""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from notifications import clock
from notifications.admin.announcement_forms import unusable
from notifications.admin.steps import StepsMixin
from notifications.announcements import audiences, events, publishing
from notifications.models import Announcement
from realtime.integration import StoreUnavailable, own_transaction

State = Announcement.State
UNPUBLISHED = (State.DRAFT, State.SCHEDULED)
OPEN = (State.SCHEDULED, State.LIVE)
UNKNOWN_ONLINE = _("Who is online cannot be looked up now.")


class AnnouncementStepsMixin(StepsMixin):
    """The pages on which it is published and cancelled."""

    publish_template = "admin/notifications/announcement/publish.html"
    cancel_template = "admin/notifications/announcement/cancel.html"

    def step_views(self) -> Mapping[str, Any]:
        return {"publish": self.publish_view, "cancel": self.cancel_view}

    def has_publish_permission(self, request: HttpRequest) -> bool:
        return self.has_right(request, "publish")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return self.has_right(request, "cancel")

    def publish_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        announcement: Announcement = self.require_object(request, object_id, self.has_publish_permission(request))
        if announcement.state not in UNPUBLISHED:
            return self._report(request, announcement, None)
        now = clock.now()
        try:
            publishing.require_end_to_come(announcement, now)
        except ValueError as error:
            return self._refuse(request, announcement, error)
        is_later = announcement.starts_at is not None and announcement.starts_at > now
        if request.method == "POST":
            return self._publish(request, announcement, at_once="_now" in request.POST or not is_later)
        reach, problem = _measure_reach(announcement)
        context = {"title": _("Publish the announcement"), "reach": reach, "problem": problem, "is_later": is_later}
        return self._ask(request, announcement, self.publish_template, context)

    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        announcement: Announcement = self.require_object(request, object_id, self.has_cancel_permission(request))
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
            self._send_test(request, obj)
            return self.lead_to(request, obj)
        if "_publish" in request.POST and self.may_preview(request):
            return HttpResponseRedirect(self.address("publish", obj.pk))
        return None

    def may_preview(self, request: HttpRequest) -> bool:
        """Whether the page on which it is published would open."""
        return self.has_publish_permission(request) and self.has_view_or_change_permission(request)

    def lead_to(self, request: HttpRequest, obj: Announcement) -> HttpResponse:
        """To the page of the announcement, or to the first one for those who may add announcements and see none."""
        if self.has_view_or_change_permission(request, obj):
            return HttpResponseRedirect(self.address("change", obj.pk))
        return HttpResponseRedirect(reverse("admin:index", current_app=self.admin_site.name))

    def _send_test(self, request: HttpRequest, announcement: Announcement) -> None:
        try:
            events.send_test(announcement, request.user)
        except ValueError as error:  # with many long texts it is too large
            messages.error(request, _("The test cannot be sent: %(cause)s") % {"cause": error})
            return
        self.log_step(request, announcement, _("Sent as a test to oneself."))
        messages.success(request, _("Your open clients show the test now. Nobody else sees it."))

    def _publish(self, request: HttpRequest, announcement: Announcement, *, at_once: bool) -> HttpResponse:
        try:
            with own_transaction():
                if at_once:
                    done, text = publishing.go_live(announcement.pk, clock.now()), _("Published.")
                else:
                    done, text = publishing.publish(announcement), _("Scheduled.")
                return self._report(request, announcement, text if done else None)
        except (StoreUnavailable, TimeoutError):
            messages.error(request, UNKNOWN_ONLINE)
            return HttpResponseRedirect(self.address("change", announcement.pk))
        except ValueError as error:
            return self._refuse(request, announcement, error)

    def _refuse(self, request: HttpRequest, announcement: Announcement, cause: ValueError) -> HttpResponse:
        messages.error(request, _("It cannot be published: %(cause)s") % {"cause": cause})
        return HttpResponseRedirect(self.address("change", announcement.pk))

    def _ask(
        self, request: HttpRequest, announcement: Announcement, template: str, context: dict[str, Any]
    ) -> HttpResponse:
        known = {"original": announcement, "audience_label": audiences.label_of(announcement.audience)}
        return self.show_step(request, template, {**known, **context})

    def _report(self, request: HttpRequest, announcement: Announcement, done: str | Promise | None) -> HttpResponse:
        """Back to the announcement; with None, nothing was done."""
        if done is None:
            messages.warning(request, _("Somebody else has published, changed or cancelled it meanwhile."))
        else:
            self.log_step(request, announcement, done)
            messages.success(request, str(done))
        return HttpResponseRedirect(self.address("change", announcement.pk))


def find_problem(announcement: Announcement) -> str:
    """Why nobody can get it: its audience is not registered any more, or fails. Else empty."""
    try:
        audiences.require_audience(announcement.audience)
    except ValueError as error:
        return unusable(error)
    return ""


def _measure_reach(announcement: Announcement) -> tuple[int | None, str | Promise]:
    """How many users it would reach now, or why that is not known."""
    try:
        audiences.require_audience(announcement.audience)
        return audiences.count(announcement), ""
    except (StoreUnavailable, TimeoutError):
        return None, UNKNOWN_ONLINE
    except ValueError as error:  # of the site's audience
        return None, unusable(error)
