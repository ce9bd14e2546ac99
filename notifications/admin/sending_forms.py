"""The form of "Send a notification": who gets it, and what the chosen type wants to know. Used by `sending`."""

from itertools import islice
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from notifications import conf, content, parameters, previews
from notifications.admin.form_fields import KeyInput, KeysField, new_key
from notifications.admin.parameter_fields import (
    LARGE,
    TEXT_CHARS,
    make_actor,
    make_data,
    make_field,
    make_link,
    name_of,
)
from notifications.announcements.audiences import everybody, has_groups
from notifications.dispatching import Chosen, Draft, find_reached
from notifications.models import Dispatch, Notification, TypeSwitch
from notifications.types import OPTIONS, NotificationType
from realtime.integration import UsersSelect, display_name

# They get it within one request, and a browser sends one field for each.
MOST_PEOPLE = 500
MISSING_SHOWN = 10  # of those that nobody has
WORDS = ("title", "message")
Audience = Dispatch.Audience


def too_many() -> ValidationError:
    return ValidationError(_("Name %(count)d people at most."), "too_many", {"count": MOST_PEOPLE})


def unsendable(cause: Exception) -> ValidationError:
    """The cause is the developers' to understand, and in English."""
    return ValidationError(_("It cannot be sent: %(cause)s"), "unsendable", {"cause": cause})


class RecipientsForm(forms.Form):
    """Who gets it. Names can be typed as well, for those whose browser runs no scripts, and to paste a list."""

    audience = forms.ChoiceField(label=_("Who gets it"), widget=forms.RadioSelect(attrs={"class": "radiolist"}))
    people: Any = KeysField(None, label=_("By name"), required=False)
    names = forms.CharField(
        label=_("More names"),
        required=False,
        max_length=MOST_PEOPLE * 200,
        widget=forms.Textarea(attrs={"rows": 2, **LARGE}),
        help_text=_("Their login names, one on each line."),
    )
    groups: Any = KeysField(None, label=capfirst(_("groups")), required=False)
    form_key = forms.CharField(max_length=255, initial=new_key, widget=KeyInput)

    def __init__(self, *args: Any, site: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people: Any = self.fields["people"]
        people.queryset = everybody()
        people.widget = UsersSelect(Dispatch._meta.get_field("created_by"), site, Notification)
        people.widget.choices = people.choices
        groups: Any = self.fields["groups"]
        groups.queryset = Group.objects.order_by("name")
        audience: Any = self.fields["audience"]
        audience.choices = Audience.choices
        audience.initial = Audience.PEOPLE
        if not has_groups():
            audience.choices = [pair for pair in Audience.choices if pair[0] != Audience.GROUPS]
            del self.fields["groups"]

    def clean_people(self) -> list[Any]:
        return [user.pk for user in self.cleaned_data["people"]]

    def clean_names(self) -> list[Any]:
        """The primary keys of those who have these names."""
        names = {line.strip() for line in self.cleaned_data["names"].splitlines()} - {""}
        if len(names) > MOST_PEOPLE:
            raise too_many()
        field: Any = get_user_model()._meta.get_field(get_user_model().USERNAME_FIELD)
        # As they are stored: the field may make something else of a name, such as a number of a telephone.
        stored = {name: value for name in names if (value := _as_stored(field, name)) is not None}
        users = everybody().filter(**{f"{field.name}__in": list(stored.values())})
        found = {_as_stored(field, name): pk for name, pk in users.values_list(field.name, "pk")}
        unlike = sorted(name for name in names if stored.get(name) not in found)
        # The column may take what differs for the same, such as letters of another case.
        missing = islice((name for name in unlike if not _is_anybody(field, stored.get(name))), MISSING_SHOWN)
        if shown := ", ".join(missing):
            raise ValidationError(_("There is nobody with the name %(names)s."), "unknown", {"names": shown})
        return list(found.values())

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if given.get("audience") == Audience.GROUPS and not given.get("groups"):
            self.add_error("groups", _("Choose at least one group."))
        if given.get("audience") == Audience.PEOPLE and "people" in given and "names" in given:
            named = {*given["people"], *given["names"]}
            if not named:
                self.add_error("people", _("Choose at least one person."))
            elif len(named) > MOST_PEOPLE:
                self.add_error("people", too_many())
        return given

    @property
    def chosen(self) -> Chosen:
        """Of a form that is valid."""
        given = self.cleaned_data
        audience = given["audience"]
        people = sorted({*given["people"], *given["names"]}) if audience == Audience.PEOPLE else []
        return Chosen(
            audience=audience, people=people, groups=list(given["groups"]) if audience == Audience.GROUPS else []
        )


def _is_anybody(field: Any, name: Any) -> bool:
    return name is not None and everybody().filter(**{field.name: name}).exists()


def _as_stored(field: Any, name: object) -> Any:
    """None for what no name can be."""
    try:
        return field.get_prep_value(name)
    except (TypeError, ValueError, ValidationError):
        return None


class SendForm(RecipientsForm):
    """With the fields of one type."""

    title = forms.CharField(
        label=capfirst(_("title")),
        max_length=255,
        required=False,
        widget=forms.TextInput(attrs=LARGE),
    )
    message = forms.CharField(
        label=capfirst(_("message")),
        max_length=TEXT_CHARS,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, **LARGE}),
    )

    def __init__(self, *args: Any, kind: NotificationType, site: Any, **kwargs: Any) -> None:
        super().__init__(*args, site=site, **kwargs)
        self.kind = kind
        self.previews: list[previews.Preview] = []  # of a form that is valid
        self.languages = [*conf.languages()] or [conf.default_language()]
        self.parameters = parameters.find_parameters(kind, self.languages)
        needed = self._names_needed()
        for parameter in self.parameters:
            is_required = parameter.name in needed if parameter.in_texts else parameter.is_required
            self.fields[name_of(parameter)] = make_field(parameter, is_required, kind.example.get(parameter.name))
        if parameters.ACTOR in parameters.find_names(parameters.templates_of(kind), self.languages):
            self.fields["actor"] = make_actor(site, parameters.ACTOR in needed)
        if not kind.link:
            self.fields["link"] = make_link()
        if parameters.find_schema(kind) is None:
            self.fields["data"] = make_data()

    def _names_needed(self) -> set[str]:
        """The parameters of the texts that are not replaced by others. Of a text of spaces only, nothing is left."""
        given = {word: self.data.get(self.add_prefix(word)) for word in WORDS}
        title, message = (bool(self.fields[word].to_python(text)) for word, text in given.items())
        templates = parameters.templates_of(self.kind, own_title=title, own_message=message)
        return parameters.find_names(templates, self.languages)

    def fieldsets(self) -> list[tuple[Any, dict[str, Any]]]:
        """As Django's admin shows them."""
        who = [name for name in ("audience", "people", "names", "groups") if name in self.fields]
        own = [name_of(parameter) for parameter in self.parameters]
        what = [name for name in ("actor", *own, "link", "data") if name in self.fields]
        words = _("One text for all languages. Leave them empty for the words of the type.")
        return [
            (_("Recipients"), {"fields": who}),
            (_("Content"), {"fields": what}),
            (_("Other words"), {"fields": WORDS, "classes": ("collapse",), "description": words}),
        ]

    def clean_data(self) -> dict[str, Any]:
        try:
            given = self.cleaned_data["data"]
            return content.require_object({} if given is None else given)
        except content.InvalidData as error:
            raise ValidationError(_("Enter a JSON object.")) from error

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if TypeSwitch.is_off(self.kind.key):
            self.add_error(None, _("Staff have switched this type off."))
        if not self.errors:
            self._require_sendable()
        return given

    def _require_sendable(self) -> None:
        """What `notify` would refuse is refused here, where it can be mended."""
        if unusable := sorted(self._names_needed() & OPTIONS):
            text = _("Developers have to rename these parameters of the type: %(names)s.")
            self.add_error(None, text % {"names": ", ".join(unusable)})
            return
        try:
            draft = self.draft
            params = draft.params if draft.actor is None else {**draft.params, "actor": display_name(draft.actor)}
            words: Any = {"title": draft.title or None, "message": draft.message, "link": draft.link}
            content.prepare(self.kind, params, data=draft.data, group_key="", **words)
            self.previews = previews.render_all(self.kind, params, **words)
        except ValidationError as error:
            self.add_error(None, error.messages)
        except (ValueError, TypeError) as error:  # MissingParameter and InvalidData among them
            self.add_error(None, unsendable(error))

    def count_reach(self) -> int:
        """How many users it is for, as of now. People get none of what they cause."""
        return find_reached(self.draft, self.chosen).count()

    def name_reached(self, most: int) -> list[str]:
        """The first of the people whom it is for, or of the groups."""
        chosen = self.chosen
        if chosen.audience == Audience.PEOPLE:
            return [str(user) for user in find_reached(self.draft, chosen).order_by("pk")[:most]]
        return [group.name for group in chosen.groups[:most]]

    @property
    def draft(self) -> Draft:
        """Of a form that is valid."""
        given = self.cleaned_data
        filled = {parameter.name: given[name_of(parameter)] for parameter in self.parameters}
        filled = {name: value for name, value in filled.items() if value is not None and value != ""}
        in_texts = {parameter.name for parameter in self.parameters if parameter.in_texts} - OPTIONS
        in_data = {parameter.name for parameter in self.parameters if parameter.in_data}
        data = {name: value for name, value in filled.items() if name in in_data} | parameters.find_tag(self.kind)
        return Draft(
            type=self.kind.key,
            params=content.require_object({name: value for name, value in filled.items() if name in in_texts}),
            data=content.require_object(given.get("data") or data),
            link=given.get("link", ""),
            title=given["title"],
            message=given["message"] or None,
            actor=given.get("actor"),
        )
