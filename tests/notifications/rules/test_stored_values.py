"""Values that the database stores otherwise than they were assigned: what it has afterwards is compared."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from notifications.rules import changed, on
from tests.shop.models import Item

pytestmark = pytest.mark.django_db


def test_what_is_rounded_to_the_stored_value_is_no_change(told: list[Any]) -> None:
    on(Item, changed("price"))(lambda occasion: told.append((occasion.old["price"], occasion.new["price"])))
    Item.objects.create(price=Decimal("11.8881")).save()
    item = Item.objects.get()
    for price in ("11.8881", "11.8881", "12.0019", "12.0019"):
        item.price = Decimal(price)
        item.save()
    item.save()
    assert told == [(Decimal("11.89"), Decimal("12.00"))]


@pytest.mark.filterwarnings("ignore:DateTimeField:RuntimeWarning")
def test_a_moment_without_a_zone_is_one_of_the_site(told: list[Any]) -> None:
    model = get_user_model()
    on(model, changed("last_login"))(lambda occasion: told.append(occasion.new["last_login"]))
    user = model.objects.create(username="alice", last_login=datetime(2030, 1, 31, 8))
    for day in (31, 31, 30, 30):
        user.last_login = datetime(2030, 1, day, 8)
        user.save()
    assert told == [timezone.make_aware(datetime(2030, 1, 30, 8))]
