"""The words of notifications: the types, and the language of the recipient."""

import json
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints
from uuid import UUID

import pytest
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist
from django.db import OperationalError
from django.utils.translation import get_language, gettext_lazy, ngettext_lazy, override

from notifications import conf, notify, types
from notifications.languages import language_of
from notifications.models import Notification
from notifications.parameters import find_names
from notifications.texts import forms_of, label_of
from notifications.types import Action
from realtime.models import Event
from tests.people import make_user

pytestmark = pytest.mark.django_db

TYPES = [
    ("new_follower", "New follower", "alice followed you", "新粉丝", "用户 alice 关注了你"),
    ("new_like", "New like", "alice liked your post", "新点赞", "用户 alice 赞了你的帖子"),
    ("new_comment", "New comment", "alice commented on your post", "新评论", "用户 alice 评论了你的帖子"),
    ("comment_reply", "New reply", "alice replied to your comment", "新回复", "用户 alice 回复了你的评论"),
    ("mention", "New mention", "alice mentioned you", "新提及", "用户 alice 提到了你"),
]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Types registered by a test are gone after it."""
    monkeypatch.setattr(types, "_types", dict(types._types))


def sent(*args: Any, **kwargs: Any) -> Notification:
    notification = notify(*args, **kwargs)
    assert notification is not None
    return notification


def pushed_texts(user: Any) -> list[tuple[str, str]]:
    """Title and message of what was pushed to the user."""
    frames = [json.loads(event.body) for event in Event.objects.filter(stream=f"user.{user.pk}").order_by("id")]
    return [(frame["data"]["title"], frame["data"]["message"]) for frame in frames]


def says(language: object) -> Any:
    """The site's function in the tests of the setting."""
    return lambda user: language


always_chinese = says("zh-hans")
never_known = says("tlh")


# Types


@pytest.mark.parametrize(("name", "title", "message", "zh_title", "zh_message"), TYPES)
def test_every_type_in_both_languages(
    alice: Any, bob: Any, name: str, title: str, message: str, zh_title: str, zh_message: str
) -> None:
    sent(bob, name, actor=alice)
    bob.language = "zh-hans"
    sent(bob, name, actor=alice)
    assert pushed_texts(bob) == [(title, message), (zh_title, zh_message)]


def test_the_table_above_is_the_registry() -> None:
    assert [name for name, _ in types.choices()] == [*(name for name, *_ in TYPES), "order_status_changed"]


def test_the_type_of_orders(bob: Any) -> None:
    order = {"order_id": "A-17", "status": "shipped"}
    sent(bob, "order_status_changed", **order)
    bob.language = "zh-hans"
    sent(bob, "order_status_changed", **order)
    assert pushed_texts(bob) == [
        ("Order A-17", "The order is now: shipped"),
        ("订单 A-17", "订单现在的状态：shipped"),
    ]


@pytest.mark.usefixtures("registry")
def test_a_site_registers_its_own_types(bob: Any) -> None:
    types.register("order_shipped", title="Order %(number)s", message="Sent, with 5%% off")
    row = sent(bob, "order_shipped", number=17)
    assert row.type == "order_shipped"
    assert (row.render().title, row.render().message) == ("Order 17", "Sent, with 5% off")


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    "wrong",
    [
        "Now 50% reduction",
        "Are you 50% sure?",
        "50% discount",
        "%s",
        "50%",
        "50% %(to)s",
        "%(to",
        ngettext_lazy("50% reduction", "50% reductions", "count"),
    ],
)
def test_a_percent_sign_is_written_twice(bob: Any, wrong: Any) -> None:
    """Python took the next letter for a place: of `r` and `s`, for all parameters."""
    for name in ("title", "message", "link", "group_key"):
        types.register("sale", **{"title": "", "message": "", name: wrong})
        with pytest.raises(ValueError, match="a percent sign that belongs to no parameter: write %% for it"):
            notify(bob, "sale", to="a secret", count=1)
    types.register("sale", title="Sale", message="")
    row = sent(bob, "sale", to="a secret", count=1)
    types.register("sale", title=wrong, message=wrong)  # reworded
    assert (row.render().title, row.render().message) == (str(forms_of(wrong)), "")


@pytest.mark.usefixtures("registry")
def test_values_have_labels_in_texts_and_nowhere_else(bob: Any) -> None:
    labels = {"day": [(1, gettext_lazy("People")), (2, "second")], "other": {}}
    types.register("delivery", title="%(day)s", message="%(day)s %(other)s", link="/%(day)s", labels=labels)
    row = sent(bob, "delivery", day=1, other="that")
    assert (row.render().title, row.render().message, row.link, row.params["day"]) == ("People", "People that", "/1", 1)
    with override("zh-hans"):
        assert row.render().title == "成员"
    for unknown in (3, [1], None):
        assert sent(bob, "delivery", day=unknown, other="").render().title == str(unknown)
    row.params = {}  # as of a type that was worded in another way then
    assert row.render().title == ""


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("value", [UUID(int=7), Decimal("1.50"), date(2030, 1, 31), datetime(2030, 1, 31, tzinfo=UTC)])
def test_values_that_are_texts_in_json_have_labels(bob: Any, value: Any) -> None:
    types.register("delivery", title="%(of)s", message="", labels={"of": {value: gettext_lazy("People")}})
    row = sent(bob, "delivery", of=value)
    assert pushed_texts(bob) == [("People", "")]
    row.refresh_from_db()
    assert row.render().title == "People"


@pytest.mark.usefixtures("registry")
def test_the_last_registration_holds(alice: Any, bob: Any) -> None:
    types.register("new_like", title="Applause", message="%(actor)s applauds")
    assert sent(bob, "new_like", actor=alice).render().message == "alice applauds"


@pytest.mark.usefixtures("registry")
def test_a_plural_translation_is_a_template(bob: Any) -> None:
    title = ngettext_lazy("Sent to %(count)d person.", "Sent to %(count)d people.", "count")
    message = ngettext_lazy("%(name)s has it", "%(name)s and others have it", "count")
    kind = types.register("sent", title=title, message=message)
    rows = []
    for language in ("en", "zh-hans"):
        bob.language = language
        rows += [sent(bob, "sent", count=count, name="Ada") for count in (1, 3)]
    assert pushed_texts(bob) == [
        ("Sent to 1 person.", "Ada has it"),
        ("Sent to 3 people.", "Ada and others have it"),
        ("已发送给 1 人。", "Ada has it"),
        ("已发送给 3 人。", "Ada and others have it"),
    ]
    assert [row.render().title for row in rows] == ["Sent to 1 person.", "Sent to 3 people."] * 2
    with pytest.raises(types.MissingParameter, match=r"person\. / .* people\.' needs the parameter 'count'"):
        notify(bob, "sent", name="Ada")
    rows[0].params = {"name": "Ada"}  # as of a type that was worded in another way then
    written = "Sent to %(count)d person. / Sent to %(count)d people."
    assert (rows[0].render().title, rows[0].render().message) == (written, "")
    assert (label_of(kind), str(forms_of(kind.title))) == ("Sent to … people.", written)
    assert find_names([message], ["en", "zh-hans"]) == {"count", "name"}


@pytest.mark.usefixtures("registry")
def test_a_plural_translation_that_does_not_name_its_number(bob: Any) -> None:
    kind = types.register("sent", title=ngettext_lazy("%(count)d person", "%(count)d people"), message="")
    with pytest.raises(TypeError):
        notify(bob, "sent", count=1)
    assert label_of(kind) == "sent"


@pytest.mark.usefixtures("registry")
def test_the_numbers_of_links_stay_numbers_when_they_are_stored(bob: Any) -> None:
    actions = [Action("pay", "Pay", "/pay/%(id)d"), Action("show", "Show", "/show/%(id)s")]
    types.register("order", title="Order", message="", link="/orders/%(id)d", actions=actions)
    for value in (5, Decimal(5)):
        row = sent(bob, "order", id=value)
        row.refresh_from_db()
        assert row.link == "/orders/5"
        assert [action.link for action in row.render().actions] == ["/pay/5", "/show/5"]


@pytest.mark.usefixtures("registry")
def test_what_is_stored_keeps_its_words_when_its_type_gets_actions(bob: Any) -> None:
    words = {"title": "Order %(number)s", "message": "Sent to %(place)s"}
    types.register("parcel", **words)
    row = sent(bob, "parcel", number=17, place="Rome")
    actions = [Action("track", "Track", "/o/%(code)s"), Action("show", "Show", "/o/%(number)s"), Action("ok", "OK")]
    for some, shown in ((actions[:2], [("show", "/o/17")]), (actions[1:], [("show", "/o/17"), ("ok", "")])):
        types.register("parcel", **words, actions=some)
        rendered = row.render()
        assert (rendered.title, rendered.message) == ("Order 17", "Sent to Rome")
        assert [(label.key, label.link) for label in rendered.actions] == shown
    types.register("parcel", **words, actions=actions[:1])
    with pytest.raises(types.MissingParameter, match="'code'"):
        notify(bob, "parcel", number=17, place="Rome")


@pytest.mark.usefixtures("registry")
def test_what_is_stored_keeps_the_text_that_can_be_filled(bob: Any) -> None:
    types.register("parcel", title="Order %(number)s", message="Sent to %(place)s")
    row = sent(bob, "parcel", number=17, place="Rome")
    types.register("parcel", title="%(count)d orders", message="Sent to %(place)s")
    assert (row.render().title, row.render().message) == ("%(count)d orders", "Sent to Rome")
    types.register("parcel", title="Order %(number)s", message="%(count)d sent")
    assert (row.render().title, row.render().message) == ("Order 17", "")


def test_editors_know_the_options_of_a_type() -> None:
    """They read them from the signature of `register`, and type checkers find those that there are not."""
    options = get_type_hints(types.register)["options"]
    (described,) = get_args(options)
    named = {field.name for field in fields(types.NotificationType)} - {"key", "title", "message"}
    assert get_type_hints(described).keys() == named
    with pytest.raises(TypeError, match="colour"):
        types.register("parcel", title="", message="", colour="red")  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_a_name_must_fit_its_column(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 64"):
        types.register(name, title="", message="")


@pytest.mark.parametrize("name", ["a,b", "a\0", "a\nb", "a\n", " a", "a "])
@pytest.mark.usefixtures("registry")
def test_a_key_can_be_one_of_a_list(name: str) -> None:
    with pytest.raises(ValueError, match="no commas"):
        types.register_category(name, "")
    for wrong in ({"key": name}, {"category": name}, {"actions": [Action(name, "")]}):
        with pytest.raises(ValueError, match="no commas"):
            types.register(**{"key": "parcel", "title": "", "message": "", **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [7, timedelta(0), timedelta(days=-1), timedelta.max, "7 days"])
def test_a_time_to_live_is_a_time(wrong: Any) -> None:
    with pytest.raises(ValueError, match="must be a timedelta above 0"):
        types.register("brief", title="", message="", time_to_live=wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"level": "fatal"}, "level of 'parcel' must be one of info, success, warning, error: 'fatal'"),
        ({"channels": ["socket", "sms"]}, "channels of 'parcel' are socket, mail, web_push, not sms"),
        ({"actions": [Action(key, key) for key in "abc"]}, "may have 2 actions"),
        ({"actions": [Action("a", "A"), Action("a", "B")]}, "must have different keys"),
        ({"actions": [Action("", "A")]}, "key of an action must be a text of 1 to 64"),
        *(({"actions": [Action(key, "A")]}, "must have no slashes") for key in ("a/b", "a\\b", ".", "..")),
        ({"category": ""}, "key of a category must be a text of 1 to 64"),
        ({"data": dict}, "data of 'parcel' must be a subclass of msgspec.Struct"),
        ({"data": 7}, "data of 'parcel' must be a subclass of msgspec.Struct"),
    ],
)
@pytest.mark.usefixtures("registry")
def test_what_no_type_can_be(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        types.register("parcel", title="", message="", **wrong)
    assert types.find_type("parcel") is None


# Languages


def test_it_is_rendered_once_for_each_language(alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    users = [make_user(f"reader-{number}") for number in range(6)]
    for user in users[:4]:
        user.language = "zh-hans"
    render, rendered = Notification.render, []

    def note(row: Notification) -> Any:
        rendered.append(get_language())
        return render(row)

    monkeypatch.setattr(Notification, "render", note)
    assert notify(users, "mention", actor=alice) == 6
    assert sorted(rendered) == ["en", "zh-hans"]
    assert [pushed_texts(user)[0][0] for user in users] == ["新提及"] * 4 + ["New mention"] * 2


def test_the_recipients_language_counts_not_the_callers(alice: Any, bob: Any) -> None:
    with override("zh-hans"):
        sent(bob, "mention", actor=alice)
    assert pushed_texts(bob) == [("New mention", "alice mentioned you")]


def test_a_title_of_its_own_is_in_the_active_language_for_all(bob: Any) -> None:
    with override("zh-hans"):
        row = sent(bob, "mention", title=gettext_lazy("New like"), message="")
    assert pushed_texts(bob) == [("新点赞", "")]
    assert row.render().title == "新点赞"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (SimpleNamespace(), "en"),
        (SimpleNamespace(language="zh-hans"), "zh-hans"),
        (SimpleNamespace(language="zh_CN"), "zh-hans"),
        (SimpleNamespace(language="zh-Hans"), "zh-hans"),
        (SimpleNamespace(language="tlh"), "en"),
        (SimpleNamespace(language=None), "en"),
        (SimpleNamespace(language=7), "en"),
        (SimpleNamespace(profile=SimpleNamespace(language="zh-hans")), "zh-hans"),
        (SimpleNamespace(profile=SimpleNamespace()), "en"),
        (SimpleNamespace(profile=None), "en"),
        (SimpleNamespace(language="", profile=SimpleNamespace(language="zh-hans")), "zh-hans"),
        (SimpleNamespace(language="en", profile=SimpleNamespace(language="zh-hans")), "en"),
    ],
)
def test_the_language_of_a_user(user: Any, expected: str) -> None:
    assert language_of(user) == expected


class Profileless:
    @property
    def profile(self) -> Any:
        raise ObjectDoesNotExist("Profile matching query does not exist.")


def test_a_user_whose_profile_cannot_be_found_gets_the_sites_language() -> None:
    assert language_of(Profileless()) == "en"


def test_the_sites_language_is_the_default(settings: Any) -> None:
    settings.LANGUAGE_CODE = "zh-hans"
    assert language_of(SimpleNamespace()) == "zh-hans"
    assert language_of(SimpleNamespace(language="en")) == "en"


def test_a_site_decides_by_a_function_of_its_own(alice: Any, bob: Any, settings: Any) -> None:
    settings.NOTIFICATIONS = {"LANGUAGE": "tests.notifications.test_words.always_chinese"}
    bob.language = "en"
    sent(bob, "mention", actor=alice)
    assert pushed_texts(bob) == [("新提及", "用户 alice 提到了你")]


def test_an_unknown_language_of_that_function(settings: Any) -> None:
    settings.NOTIFICATIONS = {"LANGUAGE": "tests.notifications.test_words.never_known"}
    assert language_of(SimpleNamespace(language="zh-hans")) == "en"


def test_a_decimal_is_a_number_for_the_texts(registry: None, bob: Any) -> None:
    """It is stored as text, because JSON has no decimals."""
    types.register("paid", title="%(count)d paid", message="%(price).2f for %(thing)s")
    row = sent(bob, "paid", count=Decimal(3), price=Decimal("1.5"), thing="2.50")
    assert pushed_texts(bob) == [("3 paid", "1.50 for 2.50")]
    row.refresh_from_db()
    assert row.render().message == "1.50 for 2.50"
    for wrong in ("NaN", "Infinity", "many"):
        row.params["count"] = wrong
        assert row.render().title == "%(count)d paid"


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_a_decimal_counts_in_a_plural_translation(registry: None, bob: Any, language: str) -> None:
    """As `Sum` of a column of decimals returns it."""
    bob.language = language
    title = ngettext_lazy("Sent to %(count)d person.", "Sent to %(count)d people.", "count")
    types.register("sent", title=title, message=ngettext_lazy("%(count)s hour", "%(count)s hours", "count"))
    rows = [sent(bob, "sent", count=Decimal(count)) for count in ("1", "3.00")]
    person, people = (
        ("Sent to 1 person.", "Sent to 3 people.") if language == "en" else ("已发送给 1 人。", "已发送给 3 人。")
    )
    assert pushed_texts(bob) == [(person, "1 hour"), (people, "3.00 hours")]
    for row, shown in zip(rows, ("1 hour", "3.00 hours"), strict=True):
        row.refresh_from_db()
        with override(language):
            assert row.render().message == shown
    row.params["count"] = "1.5"
    assert row.render().message == "1.5 hours"
    for wrong in ("NaN", "Infinity", "many", "1e999999999"):
        row.params["count"] = wrong
        assert row.render().title == "Sent to %(count)d person. / Sent to %(count)d people."


def test_a_fault_of_that_function_stops_nobody(
    alice: Any, bob: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.NOTIFICATIONS = {"LANGUAGE": "tests.notifications.test_words.chinese_but_for_bob"}
    assert notify([alice, bob], "mention", message="hello") == 2
    assert pushed_texts(alice) == [("新提及", "hello")]
    assert pushed_texts(bob) == [("New mention", "hello")]
    assert f"The language of the user {bob.pk} could not be found out" in caplog.text


def test_a_database_that_is_away_is_no_fault_of_that_function(settings: Any) -> None:
    settings.NOTIFICATIONS = {"LANGUAGE": "tests.notifications.test_words.without_a_database"}
    with pytest.raises(OperationalError):
        language_of(SimpleNamespace())


def test_an_unknown_setting(settings: Any) -> None:
    settings.NOTIFICATIONS = {"LANGUAGES": []}
    with pytest.raises(ImproperlyConfigured, match="LANGUAGES"):
        conf.settings()


def chinese_but_for_bob(user: Any) -> str:
    if user.username == "bob":
        raise AttributeError("no profile")
    return "zh-hans"


def without_a_database(user: Any) -> str:
    raise OperationalError("away")
