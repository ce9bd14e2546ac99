"""Pages of the admin that ask before they do something, each with a right of its own and a line in the admin's log.

Mixins for admin classes. Used by announcements and by notifications.
"""

from collections.abc import Mapping
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_permission_codename
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.functional import Promise

from notifications.admin.bases import AdminMixin


class StepsMixin(AdminMixin):
    """`step_views` are the pages of one object, by name."""

    def step_views(self) -> Mapping[str, Any]:
        return {}

    def get_urls(self) -> list[Any]:
        own = [
            path(f"<path:object_id>/{step}/", self.admin_site.admin_view(view), name=self.name_step(step))
            for step, view in self.step_views().items()
        ]
        return [*own, *super().get_urls()]

    def name_step(self, step: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{step}"

    def address(self, step: str, key: Any = None) -> str:
        args = [] if key is None else [key]
        return reverse(f"admin:{self.name_step(step)}", args=args, current_app=self.admin_site.name)

    def has_right(self, request: HttpRequest, what: str) -> bool:
        """Whether the user has the permission `what` on the objects of this page."""
        user: Any = request.user
        return bool(user.has_perm(f"{self.opts.app_label}.{get_permission_codename(what, self.opts)}"))

    def require_object(self, request: HttpRequest, object_id: str, is_allowed: bool) -> Any:
        """Raises PermissionDenied and Http404."""
        found: Any = self.get_object(request, unquote(object_id))
        if not is_allowed or not self.has_view_or_change_permission(request, found):
            raise PermissionDenied
        if found is None:
            raise Http404
        return found

    def show_step(self, request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
        known = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "has_view_permission": self.has_view_or_change_permission(request),
        }
        return TemplateResponse(request, template, {**known, **context})

    def log_step(self, request: HttpRequest, obj: Any, text: str | Promise) -> None:
        self.log_change(request, obj, str(text))

    def log_many(self, request: HttpRequest, text: str, only: Any = None) -> None:
        """One line for many objects; `only` is the object if there was one alone."""
        user: Any = request.user
        LogEntry.objects.create(
            user_id=user.pk,
            content_type=ContentType.objects.get_for_model(only or self.model, for_concrete_model=False),
            object_id=None if only is None else str(only.pk),
            object_repr=str(self.opts.verbose_name_plural if only is None else only)[:200],
            action_flag=CHANGE,
            change_message=text,
        )
