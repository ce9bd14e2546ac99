"""The page "Live" of the admin: who is online, the processes, the rooms, and a way to disconnect a user.

The server renders what there is when the page is loaded; the script `realtime/live.js` keeps it current over a socket,
with the topics of `realtime.topics`. Each part has a right of its own, and so has the button.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, get_script_prefix, path, reverse
from django.utils.translation import gettext_lazy as _

from realtime.admin.mixins import AdminMixin
from realtime.auth.user_choice import find_by_name
from realtime.auth.user_ids import read_id
from realtime.auth.users import all_users
from realtime.conf import settings
from realtime.delivery import publishing
from realtime.delivery.addresses import find_path
from realtime.presence import live, online
from realtime.presence.live import LiveUsers
from realtime.presence.store import StoreUnavailable
from realtime.storage.transactions import own_transaction

MOST_FOUND = 20  # users that a search shows
MAX_TERM_CHARS = 150


class LiveAdminMixin(AdminMixin):
    """A page instead of a list. A site whose sockets have another address sets `socket_path`."""

    socket_path = "api/v1/ws"
    live_template = "admin/realtime/live/page.html"
    disconnect_template = "admin/realtime/live/disconnect.html"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return any(self.may(request, f"view_live_{part}") for part in ("users", "processes", "rooms"))

    def has_disconnect_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "disconnect_user")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def may(self, request: HttpRequest, what: str) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.{what}")

    def get_urls(self) -> list[Any]:
        return [
            path("", self.admin_site.admin_view(self.changelist_view), name=self._name("changelist")),
            path("disconnect/", self.admin_site.admin_view(self.disconnect_view), name=self._name("disconnect")),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        sees_users = self.may(request, "view_live_users")
        term = request.GET.get("q", "").replace("\0", "").strip()[:MAX_TERM_CHARS] if sees_users else ""
        parts: dict[str, Any] = {
            "users": _look(live.find_users) if sees_users else None,
            "processes": _look(live.find_processes) if self.may(request, "view_live_processes") else None,
            "rooms": _look(live.find_rooms) if self.may(request, "view_live_rooms") else None,
        }
        context = {
            **parts,
            "title": _("Live"),
            "term": term,
            "found": _look(lambda: self._search(request, term)) if term else None,
            "disconnects": self.has_disconnect_permission(request),
            "disconnect_address": self._address("disconnect"),
            **self._find_way(),
            "topics": {"users": live.USERS, "processes": live.PROCESSES, "rooms": live.ROOMS},
            "most": {"users": live.MOST_USERS, "found": MOST_FOUND, "rooms": live.MOST_ROOMS},
        }
        return self._render(request, self.live_template, {**context, **(extra_context or {})})

    def disconnect_view(self, request: HttpRequest) -> HttpResponse:
        """Ask, and close all sockets of the user when the answer is yes."""
        if not self.has_disconnect_permission(request):
            raise PermissionDenied
        key = read_id((request.POST if request.method == "POST" else request.GET).get("user", ""))
        user = None if key is None else all_users().filter(pk=key).first()
        if user is None:
            raise Http404
        if request.method != "POST":
            context = {"title": _("Disconnect a user"), "person": user, "list_address": self._find_list(request)}
            return self._render(request, self.disconnect_template, context)
        with own_transaction():
            publishing.disconnect_user(user.pk)
            self.log_change(request, user, str(_("All sockets were closed.")))
        messages.success(request, _("All sockets of %(user)s were closed.") % {"user": user.get_username()})
        return HttpResponseRedirect(self._find_list(request))

    def _search(self, request: HttpRequest, term: str) -> LiveUsers:
        """The users with such a name, whether they are online or not."""
        found = list(find_by_name(self.admin_site, request, term)[:MOST_FOUND])
        entries = online.entries([str(user.pk) for user in found])
        return LiveUsers(len(entries), [live.describe_user(user, entries.get(str(user.pk))) for user in found])

    def _find_list(self, request: HttpRequest) -> str:
        """Where to go after a disconnect: the list, for those who see it."""
        if self.has_view_permission(request):
            return self._address("changelist")
        return reverse("admin:index", current_app=self.admin_site.name)

    def _find_way(self) -> dict[str, str]:
        """The address of the socket, and where the script gets a ticket; "" if the cookie of the session is enough.

        Empty if the site accepts neither.
        """
        accepted, address = settings().credentials, get_script_prefix() + self.socket_path
        if "session" in accepted:
            return {"socket": address, "ticket": ""}
        with suppress(NoReverseMatch):
            return {"socket": address, "ticket": find_path("realtime:ticket")} if "ticket" in accepted else {}
        return {}

    def _render(self, request: HttpRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
        request.current_app = self.admin_site.name  # read by the tag `url`
        return TemplateResponse(
            request, template, {**self.admin_site.each_context(request), "opts": self.opts, **context}
        )

    def _address(self, page: str) -> str:
        return reverse(f"admin:{self._name(page)}", current_app=self.admin_site.name)

    def _name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"


class LiveAdmin(LiveAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    pass


def _look(find: Callable[[], Any]) -> Any:
    """What there is; False while nobody knows, because Redis is away."""
    try:
        return find()
    except (StoreUnavailable, TimeoutError):
        return False
