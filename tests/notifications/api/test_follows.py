"""Following and muting over REST: only objects that the site has declared, and only those that the user may see."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.test.utils import isolate_apps
from rest_framework.test import APIClient

from notifications import follow, followables, followers, mute, notify, register_followable, unfollow
from notifications.models import Follow
from notifications.testing import clock
from realtime.protocol.frames import format_time
from tests.notifications.api.conftest import PATH
from tests.notifications.rows import pushed
from tests.racing import at_once
from tests.shop.models import Item, Shelf

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_items")]


@pytest.fixture
def item(bob: Any) -> Item:
    return Item.objects.create(owner=bob)


def state(follows: bool = False, muted: bool = False, until: str | None = None) -> dict[str, Any]:
    return {"follows": follows, "muted": muted, "muted_until": until}


def body_of(answer: Any, item: Item) -> Any:
    assert answer.status_code == 200, answer.json()
    body = answer.json()
    assert (body.pop("model"), body.pop("key")) == ("shop.item", str(item.pk))
    return body


def test_following_and_muting_are_apart(client: APIClient, bob: Any, item: Item) -> None:
    followed, muted = f"{PATH}/follows/shop.Item/{item.pk}", f"{PATH}/mutes/shop.item/{item.pk}"
    assert body_of(client.get(followed), item) == state()
    assert body_of(client.put(followed), item) == state(follows=True)
    assert body_of(client.put(followed), item) == state(follows=True)
    assert list(followers(item)) == [bob]
    assert body_of(client.put(muted), item) == state(follows=True, muted=True)
    assert client.delete(followed).status_code == 204
    assert body_of(client.get(followed), item) == state(muted=True)
    assert not followers(item).exists()
    assert client.delete(muted).status_code == 204
    assert body_of(client.get(followed), item) == state()
    assert not Follow.objects.exists()


def test_a_mute_ends(client: APIClient, bob: Any, item: Item) -> None:
    address = f"{PATH}/mutes/shop.item/{item.pk}"
    with clock() as time:
        until = format_time(time.now() + timedelta(hours=1))
        assert body_of(client.put(address, {"until": until}), item) == state(muted=True, until=until)
        notify(bob, "mention", message="muted", target=item)
        assert pushed(bob) == []
        time.move(hours=1)
        assert body_of(client.get(f"{PATH}/follows/shop.item/{item.pk}"), item) == state()
        assert client.get(f"{PATH}/follows").json() == {"count": 0, "offset": 0, "follows": []}
        notify(bob, "mention", message="heard", target=item)
        assert [frame["data"]["message"] for frame in pushed(bob)] == ["heard"]


@pytest.mark.parametrize(
    "body",
    [
        {"until": "soon"},
        {"until": "2001-01-01T00:00:00Z"},
        {"until": "2999-01-01T00:00:00Z"},
        {"until": "2030-01-01T00:00:00"},
        {"untill": "2030-01-01T00:00:00Z"},
        [],
        "x",
    ],
)
def test_a_mute_until_what_is_no_moment_in_the_future(client: APIClient, item: Item, body: Any) -> None:
    answer = client.put(f"{PATH}/mutes/shop.item/{item.pk}", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")
    assert not Follow.objects.exists()


@pytest.mark.parametrize(
    "named", ["shop.item/{hers}", "shop.item/4711", "shop.item/x", "shop.item/%00", "shop.item/" + "9" * 30]
)
def test_what_one_may_not_see_does_not_exist(client: APIClient, alice: Any, named: str) -> None:
    named = named.format(hers=Item.objects.create(owner=alice).pk)
    for method, address in (("get", "follows"), ("put", "follows"), ("put", "mutes")):
        answer = getattr(client, method)(f"{PATH}/{address}/{named}")
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert not Follow.objects.exists()


@pytest.mark.parametrize("model", ["auth.user", "shop.nothing", "shop", "x.y.z", "shop.Shelf"])
def test_other_models_cannot_be_followed(client: APIClient, bob: Any, model: str) -> None:
    for address in ("follows", "mutes"):
        answer = client.put(f"{PATH}/{address}/{model}/{bob.pk}")
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("address", ["follows", "mutes"])
def test_which_other_models_the_site_has_is_nobodys_business(client: APIClient, bob: Any, address: str) -> None:
    known = set(ContentType.objects.values_list("pk", flat=True))
    for named in (f"auth.user/{bob.pk}", "auth.user/x", "auth.group/1", "shop.shelf/1", "shop.nothing/1"):
        answer = client.delete(f"{PATH}/{address}/{named}")
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert set(ContentType.objects.values_list("pk", flat=True)) == known


@pytest.mark.parametrize(("act", "address"), [(follow, "follows"), (mute, "mutes")])
def test_what_site_code_lets_a_user_follow_can_be_left(
    client: APIClient, alice: Any, bob: Any, act: Any, address: str
) -> None:
    act(alice, bob)
    assert client.delete(f"{PATH}/{address}/auth.user/{bob.pk}").status_code == 404
    act(bob, bob)
    assert client.delete(f"{PATH}/{address}/auth.user/{bob.pk}").status_code == 204
    assert Follow.objects.get().user == alice


def test_what_is_gone_or_hidden_now_can_be_left(client: APIClient, bob: Any, item: Item) -> None:
    other = Item.objects.create(owner=bob)
    for thing in (item, other):
        follow(bob, thing)
        mute(bob, thing)
    Item.objects.filter(pk=item.pk).update(owner=None)
    Item.objects.filter(pk=other.pk).delete()
    for thing in (item, other):
        for address in ("follows", "mutes"):
            assert client.delete(f"{PATH}/{address}/shop.item/{thing.pk}").status_code == 204
    assert not Follow.objects.exists()
    assert client.delete(f"{PATH}/follows/shop.item/4711").status_code == 204
    assert client.delete(f"{PATH}/follows/shop.nothing/1").status_code == 404
    assert not Follow.objects.exists()


def test_the_list_is_ones_own(client: APIClient, alice: Any, bob: Any) -> None:
    items = [Item.objects.create(owner=bob) for _ in range(4)]
    for item in items:
        follow(bob, item)
        follow(alice, item)
    mute(bob, items[1])
    unfollow(bob, items[2])
    unfollow(bob, items[3])
    mute(bob, items[3])
    page = client.get(f"{PATH}/follows", {"limit": 2, "offset": 1}).json()
    assert (page["count"], page["offset"]) == (3, 1)
    assert [int(found["key"]) for found in page["follows"]] == [items[1].pk, items[0].pk]
    assert page["follows"][0] == {"model": "shop.item", "key": str(items[1].pk), **state(follows=True, muted=True)}


def test_a_key_may_be_written_in_several_ways(client: APIClient, bob: Any) -> None:
    register_followable(Shelf, visible_to=lambda user: Shelf.objects)
    shelf = Shelf.objects.create(code=uuid4())
    assert client.put(f"{PATH}/follows/shop.shelf/{shelf.code.hex}").json()["key"] == str(shelf.code)
    assert list(followers(shelf)) == [bob]
    assert client.delete(f"{PATH}/follows/shop.shelf/{shelf.code.hex.upper()}").status_code == 204
    assert not Follow.objects.exists()


def test_a_proxy_is_the_model_that_it_stands_for(client: APIClient, bob: Any, item: Item) -> None:
    followables._followables.clear()
    register_followable("shop.ItemProxy", visible_to=lambda user: Item.objects.filter(owner=user))
    for label in ("shop.itemproxy", "shop.item"):
        answer = client.put(f"{PATH}/follows/{label}/{item.pk}")
        assert body_of(answer, item) == state(follows=True)
    assert Follow.objects.count() == 1


async def later(user: Any) -> Any:
    return Item.objects.all()


@pytest.mark.parametrize(
    ("model", "function", "expected"),
    [
        ("shop.nothing", list, LookupError),
        ("shop", list, ValueError),
        ("shop.Item", None, TypeError),
        ("shop.Item", later, TypeError),
    ],
)
def test_a_wrong_declaration(model: str, function: Any, expected: Any) -> None:
    with pytest.raises(expected):
        register_followable(model, visible_to=function)


@isolate_apps("tests.shop")
def test_keys_of_several_columns(bob: Any) -> None:
    class Seat(models.Model):
        pk = models.CompositePrimaryKey("row", "place")
        row = models.IntegerField()
        place = models.IntegerField()

        class Meta:
            app_label = "shop"

        def __str__(self) -> str:
            return f"{self.row}-{self.place}"

    with pytest.raises(ValueError, match=r"shop\.Seat has several columns"):
        register_followable(Seat, visible_to=lambda user: Seat._default_manager.all())
    for unsaved in (Seat(), Seat(row=1)):
        with pytest.raises(TypeError, match="saved object"):
            follow(bob, unsaved)


@pytest.mark.django_db(transaction=True)
def test_two_devices_at_once(bob: Any, item: Item) -> None:
    at_once(*[lambda: follow(bob, item), lambda: mute(bob, item)] * 2)
    row = Follow.objects.get()
    assert (row.follows, row.muted_until is not None) == (True, True)
