"""The form of an announcement in the admin, with its texts. Used by `announcements`."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from notifications import conf
from notifications.admin.form_fields import OPENED, KeyInput, KeysField, OpenedForm, new_key
from notifications.announcements import audiences
from notifications.announcements.wording import default_code
from notifications.models import Announcement, AnnouncementText
from notifications.models.announcement import GROUPS

# A site with more languages gets one empty form for a text, and adds others with a button.
LANGUAGES_SHOWN = 4


def unusable(cause: ValueError) -> str:
    """Of an audience. The cause is the developers' to understand, and in English."""
    return _("This audience cannot be used: %(cause)s") % {"cause": cause}


class AnnouncementForm(OpenedForm):
    audience = forms.ChoiceField(label=capfirst(_("audience")))
    form_key = forms.CharField(max_length=255, required=False, initial=new_key, widget=KeyInput)

    class Meta:
        model = Announcement
        fields = ["level", "link", "closing", "audience", "groups", "for_newer", "starts_at", "ends_at"]
        field_classes = {"groups": KeysField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            del self.fields["form_key"]
        if self.instance.live_at is not None:
            self.fields.pop("audience", None)  # the page shows its label instead
        if "audience" in self.fields:
            self._choose_audiences()

    def _choose_audiences(self) -> None:
        """An audience that is no longer registered stays what it is until somebody chooses another one."""
        field: Any = self.fields["audience"]
        choices, present = audiences.choices(), self.instance.audience
        is_known = present in {key for key, _label in choices}
        field.choices = choices if is_known else [*choices, (present, audiences.label_of(present))]

    def clean_audience(self) -> str:
        key: str = self.cleaned_data["audience"]
        try:
            audiences.require_audience(key)
        except ValueError as error:
            raise forms.ValidationError(unusable(error)) from None
        return key

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if given.get("audience") == GROUPS and not given.get("groups"):
            self.add_error("groups", _("Choose at least one group."))
        elif "groups" in given and given.get("audience") != GROUPS:
            given["groups"] = []
        if self.instance.state == Announcement.State.SCHEDULED and "starts_at" in given and not given["starts_at"]:
            self.add_error("starts_at", _("It is scheduled: say when it goes live, or publish it now."))
        self._require_end(given.get("ends_at"))
        return given

    def _require_end(self, ends_at: datetime | None) -> None:
        """When a live one has started is not in the form, so its constraint is not checked."""
        live_at = self.instance.live_at
        if live_at is not None and ends_at is not None and ends_at <= (self.instance.starts_at or live_at):
            self.add_error("ends_at", _("It must end after it goes live."))


class TextFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    """The texts of an announcement: at least one, and one for each language at most."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        instance = kwargs.get("instance")
        written = {text.language for text in instance.texts.all()} if instance and instance.pk else set()
        missing = [code for code in [default_code(), *conf.languages()] if code not in written]
        kwargs["initial"] = [{"language": code} for code in dict.fromkeys(missing)]
        super().__init__(*args, **kwargs)

    def clean(self) -> None:
        super().clean()
        is_deleted: Any = self._should_delete_form  # type: ignore[attr-defined]  # not in the stubs
        kept = [form for form in self.forms if form.has_changed() or form.instance.pk]
        kept = [form for form in kept if not (self.can_delete and is_deleted(form))]
        if not kept:
            raise forms.ValidationError(_("Write a text in at least one language."))
        self._require_current({form.cleaned_data.get("language") for form in kept if form.is_valid()})

    def _require_current(self, languages: set[Any]) -> None:
        """Others may have deleted a text of the form, or added one: Django would name the first nowhere on the page."""
        known = [form.instance.pk for form in self.initial_forms]
        added = AnnouncementText.objects.filter(announcement=self.instance.pk, language__in=languages)
        if None in known or added.exclude(pk__in=known).exists():
            raise forms.ValidationError(_("Somebody else has changed the texts meanwhile. Load the page again."))

    def save_existing_objects(self, commit: bool = True) -> Any:
        """They are saved one by one, and two may exchange their languages: until then, those that change have none."""
        if commit:
            is_deleted: Any = self._should_delete_form  # type: ignore[attr-defined]  # not in the stubs
            for form in self.initial_forms:
                if "language" in form.changed_data or is_deleted(form):
                    AnnouncementText.objects.filter(pk=form.instance.pk).update(language=f"-{form.instance.pk}")
        return super().save_existing_objects(commit)


class TextForm(OpenedForm):
    language = forms.ChoiceField(label=capfirst(_("language")))

    class Meta:
        model = AnnouncementText
        fields = ["language", "title", "message"]
        widgets = {
            "title": forms.TextInput(attrs={"class": "vLargeTextField"}),
            "message": forms.Textarea(attrs={"rows": 4, "class": "vLargeTextField"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = {default_code(): default_code(), **conf.languages()}
        if written := self.instance.language:
            names.setdefault(written, written)
        field: Any = self.fields["language"]
        field.choices = list(names.items())

    def validate_constraints(self) -> None:
        """Left to the formset. From Django 6.0 on, a text by itself finds a language taken that another one leaves."""


class TextInline(admin.StackedInline):  # type: ignore[type-arg]
    model = AnnouncementText
    form = TextForm
    formset = TextFormSet
    fields = ["language", "title", "message"]

    # A text is a part of its announcement, so the rights are those on the announcement.

    def has_view_permission(self, request: HttpRequest, obj: Announcement | None = None) -> bool:
        return self._parent.has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest, obj: Announcement | None = None) -> bool:
        return self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Announcement | None = None) -> bool:
        parent = self._parent
        return parent.has_add_permission(request) if obj is None else parent.has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Announcement | None = None) -> bool:
        return self.has_change_permission(request, obj)

    @property
    def _parent(self) -> "admin.ModelAdmin[Any]":
        return self.admin_site._registry[Announcement]

    def get_fields(self, request: HttpRequest, obj: Announcement | None = None) -> Any:
        is_changed = obj is not None and self.has_change_permission(request, obj)
        return [*self.fields, OPENED] if is_changed else self.fields

    def get_extra(self, request: HttpRequest, obj: Announcement | None = None, **kwargs: Any) -> int:
        """A form for each of the site's languages in which there is no text yet."""
        languages = {default_code(), *conf.languages()}
        if len(languages) > LANGUAGES_SHOWN:
            return 0 if obj else 1
        return len(languages - {text.language for text in obj.texts.all()}) if obj else len(languages)

    def get_max_num(self, request: HttpRequest, obj: Announcement | None = None, **kwargs: Any) -> int:
        return max(len({default_code(), *conf.languages()}), obj.texts.count() if obj else 0)
