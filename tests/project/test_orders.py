"""The example of an app: a new status that is saved in the admin reaches the user's sockets and inbox."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils.translation import override
from rest_framework.test import APIClient

from notifications.rules import notify_changes
from notifications.testing import assert_not_notified, assert_notified
from project.demo.languages import find_language
from project.orders.models import Order
from realtime.storage.database import run
from tests.notifications.rows import pushed
from tests.people import client_for, make_user

pytestmark = pytest.mark.django_db(transaction=True)

CHANGE = "admin:orders_order_change"
LIST = "admin:orders_order_changelist"


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root"))
    return client


@pytest.fixture
def order(alice: Any) -> Order:
    return Order.objects.create(user=alice, number="A-17")


def next_of(order: Order) -> str:
    return f"/api/v1/orders/{order.pk}/next"


def save_status(staff: Client, order: Order, status: str) -> None:
    form = {"user": order.user_id, "number": order.number, "status": status}
    answer = staff.post(reverse(CHANGE, args=[order.pk]), form)
    assert answer.status_code == 302, answer.context["adminform"].form.errors


async def test_a_status_that_is_saved_in_the_admin_reaches_the_users_sockets(
    site: Any, alice: Any, bob: Any, staff: Client, order: Order
) -> None:
    socket, other = await site.connect(alice), await site.connect(bob)
    socket.contract.site_types.add("order_status_changed")
    await run(save_status, staff, order, "sent")
    frame = await socket.expect("order_status_changed")
    at = datetime.fromisoformat(frame.pop("timestamp"))
    assert abs((datetime.now(UTC) - at).total_seconds()) < 3600
    del frame["seq"]
    assert frame == {
        "type": "order_status_changed",
        "order_id": "A-17",
        "status": "sent",
        "stream": f"user.{alice.pk}",
    }
    item = (await socket.expect("notification"))["data"]
    assert (item["type"], item["title"], item["message"]) == (
        "order_status_changed",
        "Order A-17",
        "The order is now: sent",
    )
    assert item["data"] == {"order_id": "A-17", "status": "sent"}
    assert item["target"] == {"model": "orders.order", "key": str(order.pk)}
    assert [frame["type"] for frame in await other.settle()] == []


@pytest.mark.parametrize(
    ("language", "message"), [("en", "The order is now: sent"), ("zh-hans", "订单现在的状态：已发货")]
)
def test_the_status_has_its_label_in_the_readers_language(
    alice: Any, staff: Client, order: Order, settings: Any, language: str, message: str
) -> None:
    settings.LANGUAGE_CODE = language
    save_status(staff, order, "sent")
    assert pushed(alice, "notification")[0]["data"]["message"] == message
    row = assert_notified(alice, "order_status_changed", status="sent")
    with override(language):
        assert row.render().message == message


def test_saving_the_same_status_tells_nobody(alice: Any, staff: Client, order: Order) -> None:
    save_status(staff, order, "new")
    assert_not_notified(alice)


def test_the_list_of_the_admin_changes_several(alice: Any, bob: Any, staff: Client, order: Order) -> None:
    other = Order.objects.create(user=bob, number="A-18", status="paid")
    form = {
        "form-TOTAL_FORMS": 2,
        "form-INITIAL_FORMS": 2,
        "form-0-id": other.pk,
        "form-0-status": "paid",
        "form-1-id": order.pk,
        "form-1-status": "paid",
        "_save": "Save",
    }
    assert staff.post(reverse(LIST), form).status_code == 302
    assert_notified(alice, "order_status_changed", order_id="A-17", status="paid")
    assert_not_notified(bob)


def test_an_update_of_many_tells_each_user(alice: Any, order: Order) -> None:
    with notify_changes(Order.objects.filter(status="new")) as orders:
        orders.update(status="cancelled")
    assert_notified(alice, "order_status_changed", status="cancelled")


def test_a_user_mutes_an_order_over_rest(alice: Any, bob: Any, order: Order) -> None:
    address = f"/api/v1/notifications/mutes/orders.order/{order.pk}"
    assert client_for(bob).put(address).status_code == 404
    assert client_for(alice).put(address).status_code == 200


def test_in_the_demo_a_user_moves_their_own_orders_along(settings: Any, alice: Any, bob: Any, order: Order) -> None:
    settings.DEMO = True
    answer = client_for(alice).get("/api/v1/orders", headers={"Accept-Language": "zh-hans"}).json()
    assert answer["orders"] == [{"id": order.pk, "number": "A-17", "status": "new"}]
    labels = {"new": "新建", "paid": "已付款", "sent": "已发货", "delivered": "已送达", "cancelled": "已取消"}
    assert answer["labels"] == labels
    for status in ("paid", "sent", "delivered", "new"):
        assert client_for(alice).post(next_of(order)).status_code == 204
        order.refresh_from_db()
        assert order.status == status
        assert_notified(alice, "order_status_changed", status=status)
    staff = make_user("root", is_staff=True, is_superuser=True)
    for client, status in ((client_for(bob), 404), (client_for(staff), 404), (APIClient(), 401)):
        assert client.post(next_of(order)).status_code == status
    for key in ("%00", "0", "9" * 30):
        assert client_for(alice).post(f"/api/v1/orders/{key}/next").status_code == 404
    assert APIClient().get("/api/v1/orders").status_code == 401
    assert client_for(bob).get("/api/v1/orders").json()["orders"] == []


@pytest.mark.parametrize("number", ["2024/7 #", "订单9", ".."])
def test_an_order_with_any_number_is_moved_along(settings: Any, alice: Any, staff: Client, number: str) -> None:
    settings.DEMO = True
    form = {"user": alice.pk, "number": number, "status": "new"}
    assert staff.post(reverse("admin:orders_order_add"), form).status_code == 302
    (listed,) = client_for(alice).get("/api/v1/orders").json()["orders"]
    assert client_for(alice).post(f"/api/v1/orders/{listed['id']}/next").status_code == 204
    assert Order.objects.get(number=number).status == "paid"


def test_a_user_whose_page_comes_back_to_a_new_server_is_notified_in_its_language(settings: Any, alice: Any) -> None:
    settings.DEMO = True
    client_for(alice).get("/api/v1/orders", headers={"Accept-Language": "zh-hans"})
    assert find_language(alice) == "zh-hans"


def test_outside_the_demo_nobody_does(alice: Any, order: Order) -> None:
    for call in (client_for(alice).get("/api/v1/orders"), client_for(alice).post(next_of(order))):
        assert call.status_code == 404
    order.refresh_from_db()
    assert order.status == "new"


def test_the_demo_has_orders_however_often_it_is_loaded(settings: Any) -> None:
    settings.DEBUG = True
    for _ in range(2):
        call_command("load_demo", bare=True, verbosity=0)
    assert Order.objects.filter(user__username="alice").count() == 2
    assert Order.objects.count() == 6


def test_the_admin_speaks_chinese(staff: Client, order: Order) -> None:
    page = staff.get(reverse(LIST), headers={"accept-language": "zh-hans"}).content.decode()
    for text in ("订单", "订单编号", "用户", "状态", "创建时间", "已付款", "已取消"):
        assert text in page
