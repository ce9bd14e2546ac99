"""“Send a notification” in the admin: choose a type, fill in its form, look at it, and send it. A mixin.

Each step is a page that needs no script. Nothing is stored before the last one.
"""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import AdminForm
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from notifications import dispatching, texts, types
from notifications.admin.form_fields import KEY_NAME, key_in_address, new_key
from notifications.admin.sending_forms import SendForm, unsendable
from notifications.admin.steps import StepsMixin
from notifications.models import Dispatch
from realtime.integration import own_transaction

# More people than that, and staff are asked once more.
CONFIRM_ABOVE = 1_000
NAMES_SHOWN = 20


class TypeForm(forms.Form):
    """The first step."""

    type = forms.ChoiceField(label=capfirst(_("type")))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["type"]
        field.choices = choose_types()


def choose_types() -> list[tuple[Any, list[tuple[str, str]]]]:
    """Keys and titles of all types, by category."""
    labels = types.categories()
    found: dict[str, list[tuple[str, str]]] = {}
    for kind in types.all_types():
        found.setdefault(kind.category, []).append((kind.key, texts.distinct_label_of(kind)))
    return [(labels[category], of_category) for category, of_category in found.items()]


class SendMixin(StepsMixin):
    """In the place of the form for a new object."""

    type_template = "admin/notifications/notification/choose_type.html"
    send_template = "admin/notifications/notification/send.html"
    check_template = "admin/notifications/notification/check.html"

    def has_send_permission(self, request: HttpRequest) -> bool:
        return self.has_right(request, "send")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_send_permission(request)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_send_permission(request):
            raise PermissionDenied
        given = request.POST if request.method == "POST" else request.GET
        kind = types.find_type(given.get("type", ""))
        if kind is None:
            types_form = TypeForm(given if "type" in given else None)
            return self.show_step(request, self.type_template, {"title": _("Send a notification"), "form": types_form})
        if request.method != "POST":
            return self._open_form(request, kind)
        form = SendForm(request.POST, kind=kind, site=self.admin_site)
        if not form.is_valid() or "_change" in request.POST:
            return self._show_form(request, form)
        return self._check_or_send(request, form)

    def _open_form(self, request: HttpRequest, kind: types.NotificationType) -> HttpResponse:
        """Empty, or what it has sent: browsers come back to it afterwards."""
        key = key_in_address(request)
        if (answer := self._answer_again(request, key)) is not None:
            return answer
        initial = {"actor": request.user.pk, KEY_NAME: key or new_key()}
        return self._show_form(request, SendForm(kind=kind, site=self.admin_site, initial=initial))

    def _check_or_send(self, request: HttpRequest, form: SendForm) -> HttpResponse:
        reach = form.count_reach()
        is_confirmed = "_confirmed" in request.POST or reach <= CONFIRM_ABOVE
        if "_send" in request.POST and is_confirmed:
            return self._send(request, form)
        context = {
            "title": _("Check the notification"),
            "form": form,
            "kind": form.kind,
            "label": texts.distinct_label_of(form.kind),
            "previews": form.previews,
            "level": form.kind.level,
            "reach": reach,
            "names": form.name_reached(NAMES_SHOWN),
            "asks": "_send" in request.POST,
            "in_portions": form.chosen.audience != Dispatch.Audience.PEOPLE and reach > dispatching.PEOPLE_AT_ONCE,
        }
        return self.show_step(request, self.check_template, context)

    def _show_form(self, request: HttpRequest, form: SendForm) -> HttpResponse:
        context = {
            "title": _("Send a notification"),
            "subtitle": texts.distinct_label_of(form.kind),
            "form": form,
            "kind": form.kind,
            "adminform": AdminForm(form, form.fieldsets(), {}),  # type: ignore[arg-type]  # any form will do
            "media": self.media + form.media,
        }
        return self.show_step(request, self.send_template, context)

    def _send(self, request: HttpRequest, form: SendForm) -> HttpResponse:
        key = form.cleaned_data["form_key"]
        try:
            with own_transaction():
                row = dispatching.start(form.draft, form.chosen, form_key=key, created_by=request.user)
                self.log_many(request, describe(row), only=row)
        except (IntegrityError, ObjectDoesNotExist):  # it was sent twice at once, or somebody in it was deleted
            if (answer := self._answer_again(request, key)) is not None:
                return answer
            again = SendForm(request.POST, kind=form.kind, site=self.admin_site)
            if again.is_valid():
                raise
            return self._show_form(request, again)
        except ValueError as error:  # what nobody knows before it is pushed, such as a frame that is too large
            form.add_error(None, unsendable(error))
            return self._show_form(request, form)
        dispatching.take_step(row.pk)
        row.refresh_from_db()
        if row.error:
            messages.error(request, row.error)
        else:
            messages.success(request, describe(row))
        return HttpResponseRedirect(self._address_of(request, row))

    def _answer_again(self, request: HttpRequest, key: str) -> HttpResponse | None:
        if (known := Dispatch.objects.filter(form_key=key).first()) is None:
            return None
        messages.warning(request, _("This form was sent before. Here is what it has sent."))
        return HttpResponseRedirect(self._address_of(request, known))

    def _address_of(self, request: HttpRequest, row: Dispatch) -> str:
        """The page of what was sent, or the list of notifications for those who may not see that."""
        model_admin = self.admin_site._registry.get(Dispatch)
        if model_admin is None or not model_admin.has_view_permission(request, row):
            return self._list_address(request)
        name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
        return reverse(name, args=[row.pk], current_app=self.admin_site.name)

    def _list_address(self, request: HttpRequest) -> str:
        is_shown = self.has_view_or_change_permission(request)
        return self.address("changelist") if is_shown else reverse("admin:index", current_app=self.admin_site.name)


def describe(row: Dispatch) -> str:
    """For the admin's log and for whoever has sent it."""
    if row.state == Dispatch.State.SENDING:
        text = ngettext("It is being sent to %(count)d person.", "It is being sent to %(count)d people.", row.total)
        return text % {"count": row.total}
    text = ngettext("Sent to %(count)d person.", "Sent to %(count)d people.", row.stored)
    return text % {"count": row.stored}
