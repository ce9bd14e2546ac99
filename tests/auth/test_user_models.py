"""A site with the most unusual user model that Django allows: everything works, as its own interface says."""

import pytest

from tests.sites.small import SITE, SmallSite

MODELS = """
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class Phone:
    def __init__(self, digits):
        self.digits = digits

    def __str__(self):
        return f"+{self.digits}"


class PhoneField(models.CharField):
    def from_db_value(self, value, expression, connection):
        return None if value is None else Phone(value)

    def get_prep_value(self, value):
        return value.digits if isinstance(value, Phone) else super().get_prep_value(value)


class Company(models.Model):
    name = models.CharField(max_length=20)


class Person(models.Model):
    company = models.ForeignKey(Company, models.CASCADE)


class Members(BaseUserManager):
    def get_queryset(self):
        return super().get_queryset().select_related("person__company")


class Member(AbstractBaseUser):
    # The key belongs to another model, there is no password, and the site decides by itself who is active.
    person = models.OneToOneField(Person, models.CASCADE, primary_key=True)
    phone = PhoneField(max_length=20, unique=True)
    email = models.EmailField()
    blocked = models.BooleanField(default=False)
    password = None
    USERNAME_FIELD = "phone"
    objects = Members()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.remembered = (self.email, self.blocked)

    @property
    def is_active(self):
        return not self.blocked

    @property
    def profile(self):
        raise models.ObjectDoesNotExist("Profile matching query does not exist.")
"""
TESTS = """
from asgiref.sync import sync_to_async
from django.test import TransactionTestCase

import realtime
from members.models import Company, Member, Person, Phone
from notifications import anotify
from realtime.presence import live
from realtime.sockets.node import get_node
from realtime.sockets.recheck import recheck
from realtime.testing import connect


def make(digits):
    person = Person.objects.create(company=Company.objects.create(name="Acme"))
    return Member.objects.create(person=person, phone=Phone(digits), email=f"{digits}@example.com")


class Members(TransactionTestCase):
    def setUp(self):
        make("1"), make("2")  # so that keys and phones differ
        self.anna, self.ben = make("111"), make("222")

    def test_saving(self):
        self.anna.email = "new@example.com"
        self.anna.save()
        self.anna.save(update_fields=["email"])

    async def test_every_credential(self):
        for credential in ("token", "ticket", "subprotocol", "authorization", "session", "command"):
            async with connect(self.anna, credential=credential) as socket:
                self.assertEqual(socket.greeting["user_id"], self.anna.pk)
                self.assertEqual(socket.greeting["message"], "Welcome, +111!")

    async def test_talking(self):
        async with connect(self.anna) as hers, connect(self.ben) as his:
            await hers.expect("user_status", user_id=self.ben.pk, status="online")
            self.assertEqual([one.username for one in (await live.afind_users()).users], ["+222", "+111"])
            await hers.send({"type": "subscribe", "topic": live.USERS, "id": "s"})
            await hers.expect_error("NOT_FOUND", id="s")
            await hers.send({"type": "message", "to_user_id": self.ben.pk, "message": "Hello!", "id": "c"})
            await hers.expect("ack", id="c")
            await his.expect("chat", message="Hello!", from_username="+111", from_user_id=self.anna.pk)
            await his.send({"type": "presence", "status": "away"})
            await hers.expect("presence", user_id=self.ben.pk, status="away")
            await anotify(self.ben, "new_follower", actor=self.anna)
            await his.expect("notification")
            await sync_to_async(realtime.disconnect_user)(self.ben)
            await his.expect_closed(4403)

    async def test_one_who_is_blocked_without_a_signal(self):
        async with connect(self.anna) as hers, connect(self.ben) as his:
            await Member.objects.filter(pk=self.ben.pk).aupdate(blocked=True)
            await recheck(get_node().hub)
            await his.expect_closed(4403)
            await hers.send({"type": "message", "to_user_id": self.ben.pk, "message": "Hello?", "id": "c"})
            await hers.expect_error("NOT_FOUND", id="c")
        async with connect(self.ben) as again:
            await again.expect_closed(4403)
"""


@pytest.mark.process
def test_everything_works_with_it(tmp_path):
    settings = SITE["mysite/settings.py"].replace('"notifications",', '"notifications", "members",')
    settings += 'AUTH_USER_MODEL = "members.Member"\nSIMPLE_JWT = {"USER_ID_FIELD": "pk"}\n'
    files = {"mysite/settings.py": settings, "members/__init__.py": "", "members/models.py": MODELS, "tests.py": TESTS}
    assert "Ran 4 tests" in SmallSite(tmp_path, files).run("django", "test", "tests")
