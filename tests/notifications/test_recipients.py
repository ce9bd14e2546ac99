"""Who gets a notification: one user, many, a queryset, a group, followers; and who does not."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group
from django.core.exceptions import ObjectDoesNotExist
from django.db import connection
from django.test import Client
from django.utils.functional import SimpleLazyObject, lazystr
from django.utils.timezone import make_aware

from notifications import follow, followers, mute, notify, unfollow
from notifications.clock import FOREVER, as_stored
from notifications.models import Follow, Notification, Reader, TypeSwitch
from realtime.models import Event, Room
from realtime.storage import pending
from tests.notifications.choices import choose
from tests.notifications.rows import pushed, sent
from tests.people import NO_KEY

pytestmark = pytest.mark.django_db


def receivers() -> set[Any]:
    return set(Notification.objects.values_list("recipient_id", flat=True))


@pytest.fixture
def carol() -> Any:
    return get_user_model().objects.create_user("carol")


@pytest.mark.parametrize(
    "name_them",
    [
        lambda users: users,
        lambda users: tuple(user.pk for user in users),
        lambda users: {users[0], users[1].pk},
        lambda users: (str(user.pk) for user in users),
        lambda users: [*users, *users, users[0].pk],
        lambda users: get_user_model().objects.filter(pk__in=[user.pk for user in users]),
        lambda users: get_user_model().objects.exclude(username="carol").order_by("-username"),
        lambda users: get_user_model().objects.order_by("username")[:2],
    ],
)
def test_several_users(alice: Any, bob: Any, carol: Any, name_them: Any) -> None:
    assert notify(name_them([alice, bob]), "mention", actor=carol) == 2
    assert receivers() == {alice.pk, bob.pk}
    for user in (alice, bob):
        [frame] = pushed(user)
        assert frame["data"]["id"] == Notification.objects.get(recipient=user).pk
        assert frame["data"]["message"] == "carol mentioned you"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no DISTINCT ON")
def test_the_first_of_each_kind(alice: Any, bob: Any, carol: Any) -> None:
    users = get_user_model().objects
    users.filter(pk=alice.pk).update(is_staff=True)
    for order, named in (("username", {alice.pk, bob.pk}), ("-username", {alice.pk, carol.pk})):
        Notification.objects.all().delete()
        assert notify(users.order_by("is_staff", order).distinct("is_staff"), "mention", message="hello") == 2
        assert receivers() == named


def test_a_user_whose_key_is_a_text(alice: Any, bob: Any) -> None:
    """Choices are looked up, and people are compared, by the key in its own type."""
    named = get_user_model()(pk=str(bob.pk))
    choose(bob, muted_until=FOREVER)
    assert sent(named, "mention", actor=alice).recipient_id == bob.pk
    assert pushed(bob) == []
    assert notify([named, alice, bob], "mention", message="hello") == 2
    assert notify(bob, "mention", actor=named) is None
    assert sent(alice, "mention", actor=named).actor_id == bob.pk


def test_all_users_by_their_manager(alice: Any, bob: Any) -> None:
    assert notify(get_user_model().objects, "mention", actor=alice) == 1
    assert receivers() == {bob.pk}


def test_a_group(alice: Any, bob: Any, carol: Any) -> None:
    group = Group.objects.create(name="clerks")
    group.user_set.add(alice, bob)  # type: ignore[attr-defined]
    assert notify(group, "mention", actor=carol) == 2
    assert receivers() == {alice.pk, bob.pk}


def test_followers(alice: Any, bob: Any, carol: Any) -> None:
    room = Room.objects.create(slug="lunch")
    other = Room.objects.create(slug="dinner")
    for user in (alice, bob, carol):
        follow(user, room)
        follow(user, room)
        follow(user.pk, other)
    unfollow(carol, room)
    assert set(followers(room)) == {alice, bob}
    assert notify(followers(room), "mention", actor=bob) == 1
    assert receivers() == {alice.pk}


@pytest.mark.parametrize("until", [date(2030, 1, 1), timedelta(days=1), "2030-01-01", 5])
def test_a_mute_ends_at_a_moment(alice: Any, bob: Any, until: Any) -> None:
    with pytest.raises(TypeError, match="ends at a datetime"):
        mute(alice, bob, until=until)


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin"])
@pytest.mark.parametrize("has_zones", [True, False])
def test_a_mute_to_the_end_of_the_calendar_has_no_end(
    alice: Any, bob: Any, settings: Any, admin_client: Client, zone: str, has_zones: bool
) -> None:
    """In UTC, or in the next time zone, there is no such moment: it could be stored and never be read again."""
    settings.TIME_ZONE, settings.USE_TZ = zone, has_zones
    for until in (datetime.max.replace(tzinfo=UTC), make_aware(datetime(9999, 12, 31, 23, 59))):
        mute(alice, bob, until=until)
        choose(alice, muted_until=until)
        assert Follow.objects.get().muted_until == Reader.objects.get().muted_until == as_stored(FOREVER)
    assert notify([alice, bob], "mention", message="hello") == 2
    assert admin_client.get("/admin/notifications/reader/").status_code == 200


def test_nobody(alice: Any) -> None:
    assert notify([], "mention", actor=alice) == 0
    assert notify([alice], "mention", actor=alice) == 0
    assert notify([NO_KEY], "mention", actor=alice) == 0
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "given",
    [
        None,
        AnonymousUser(),
        SimpleLazyObject(AnonymousUser),
        1.5,
        object(),
        lazystr("12"),
        [None],
        [True],
        Room.objects,
        Room.objects.all(),
    ],
)
def test_what_names_no_users_is_a_type_error(given: Any) -> None:
    with pytest.raises(TypeError, match="is needed"):
        notify(given, "mention", message="hello")


def test_one_key_of_nobody_is_an_error() -> None:
    with pytest.raises(ObjectDoesNotExist):
        notify(NO_KEY, "mention", message="hello")


def test_thousands_are_stored_and_pushed_with_a_few_queries(alice: Any, django_assert_max_num_queries: Any) -> None:
    users = get_user_model().objects
    users.bulk_create([users.model(username=f"u{number}") for number in range(2_100)])
    with django_assert_max_num_queries(25):
        assert notify(users.exclude(pk=alice.pk), "mention", actor=alice) == 2_100
    assert (Notification.objects.count(), Event.objects.count()) == (2_100, 3)  # until the commit
    assert [len(pending.sweep(-1).events) for _ in range(4)] == [1_000, 1_000, 100, 0]
    assert Event.objects.count() == 2_100


def test_staff_can_switch_a_type_off(alice: Any, bob: Any) -> None:
    switch = TypeSwitch.objects.create(type="mention")
    assert notify(bob, "mention", actor=alice) is None
    assert notify([bob], "mention", actor=alice) == 0
    assert notify(bob, "new_like", actor=alice) is not None
    switch.off = False
    switch.save()
    assert notify(bob, "mention", actor=alice) is not None
