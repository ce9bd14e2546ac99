"""Choosing a user by name in the admin. Used by the admin classes of both apps.

Django's own way (`autocomplete_fields`) needs an admin of the user model that can be searched, which not every site
has, and staff who may see the list of users, which somebody who only looks after rooms may not.
"""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.admin.widgets import AutocompleteMixin, AutocompleteSelect, AutocompleteSelectMultiple
from django.contrib.auth import get_user_model
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import path

from realtime.auth.user_ids import read_id

# Django's admin classes are generic in the type stubs only: hence the ignored errors below.


class ChoosesUsers:
    """For an admin class or an inline: foreign keys to users are chosen by name. The page's class `FindsUsers`."""

    model: type[Model]
    admin_site: admin.AdminSite

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.related_model is get_user_model():
            page = getattr(self, "parent_model", self.model)  # the model of the page that the form is on
            kwargs["widget"] = UserSelect(db_field, self.admin_site, page)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]


class FindsUsers(ChoosesUsers):
    """For an admin class: finds users for its own forms and those of its inlines, for staff who may fill them in."""

    def get_urls(self) -> list[Any]:
        view = UserSearch.as_view(admin_site=self.admin_site, asker=self)
        found = path("users/", self.admin_site.admin_view(view), name=address_of(self.model))
        return [found, *super().get_urls()]  # type: ignore[misc]

    def may_find_users(self, request: HttpRequest) -> bool:
        page: Any = self
        return bool(page.has_add_permission(request) or page.has_change_permission(request))


class FindsByName(AutocompleteMixin):
    """`field` is any foreign key to users; `page` is the model of the `FindsUsers` that answers."""

    def __init__(self, field: Any, site: admin.AdminSite, page: type[Model]) -> None:
        super().__init__(field, site)
        self.url_name = f"%s:{address_of(page)}"

    def optgroups(self, name: str, value: Any, attrs: Any = None) -> Any:
        """Django looks up what was sent, and fails if it is no key."""
        keys = [one for one in value if not one or read_id(one) is not None]
        return super().optgroups(name, keys, attrs)


class UserSelect(FindsByName, AutocompleteSelect):
    """A choice of one user."""


class UsersSelect(FindsByName, AutocompleteSelectMultiple):
    """A choice of several users."""


class UserSearch(AutocompleteJsonView):
    """The users whose names have a word in them, as Django's own search for its select boxes answers."""

    asker: Any = None  # the `FindsUsers` whose form asks

    def has_perm(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self.asker.may_find_users(request))

    def process_request(self, request: HttpRequest) -> tuple[str, Any, Any, str]:
        """The word, the admin class that searches, and the name of the key."""
        model: Any = get_user_model()
        return request.GET.get("term", ""), choose_admin(self.asker.admin_site, request), None, model._meta.pk.attname

    def get_queryset(self) -> QuerySet[Any]:
        return find_by_name(self.asker.admin_site, self.request, self.term)


class PlainUsers(admin.ModelAdmin):  # type: ignore[type-arg]
    """Searches users by name, where the site has no admin of its own for that, and for staff who may not see users."""

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        return [get_user_model().USERNAME_FIELD]


def choose_admin(site: admin.AdminSite, request: HttpRequest) -> Any:
    """The admin class that searches users: the site's own, if it can be searched, for staff who may see users.

    It may search addresses, too. Others would find out an address with it, letter by letter.
    """
    model: Any = get_user_model()
    people = site._registry.get(model)
    is_open = people is not None and people.get_search_fields(request) and people.has_view_permission(request)
    return people if is_open else PlainUsers(model, site)


def find_by_name(site: admin.AdminSite, request: HttpRequest, term: str) -> QuerySet[Any]:
    """The users with a word in their names, as the admin finds them."""
    people = choose_admin(site, request)
    # The site's own admin may hide users from some staff, whoever searches.
    every: QuerySet[Any] = site._registry.get(get_user_model(), people).get_queryset(request)
    found: QuerySet[Any]
    found, repeats = people.get_search_results(request, every, term.replace("\0", ""))
    found = found.distinct() if repeats else found
    return found if found.ordered else found.order_by("pk")


def address_of(page: type[Model]) -> str:
    return f"{page._meta.app_label}_{page._meta.model_name}_users"
