"""Texts on sockets are in the language of the client's `Accept-Language`, whatever others on the site speak."""

import pytest

from realtime.sockets.refusals import answer
from tests.paper import open_connection
from tests.sites.in_process import Refusal

pytestmark = pytest.mark.django_db(transaction=True)

CHINESE = {"accept-language": "zh-hans"}


@pytest.fixture
async def pair(site, alice, bob):
    """A socket that speaks Chinese and one that speaks English."""
    return await site.connect(alice, headers=CHINESE), await site.connect(bob, headers={"accept-language": "en"})


@pytest.mark.parametrize(
    ("frame", "chinese", "english"),
    [
        ({"type": "join", "room_id": "none"}, "没有这个房间。", "There is no such room."),
        (
            {"type": "join", "room_id": 5},
            "`$.room_id` 的类型必须是 `str`，不能是 `int`。",
            "`$.room_id` must be of type `str`, not `int`.",
        ),
        ({"type": "join"}, "缺少 `$.room_id`。", "`$.room_id` is missing."),
        ({"type": "sing"}, "没有 `sing` 这个命令。", "There is no command `sing`."),
        (b"\0", "帧必须是文本，不能是二进制。", "Frames are text, not binary."),
        ("nope", "帧不是有效的 JSON（第 4 字节）。", "The frame is not valid JSON (byte 4)."),
        ({"type": "resume", "streams": {"room.none": 0}}, "没有这个流。", "There is no such stream."),
        (
            {"type": "batch", "messages": [{"type": "subscribe", "topic": "none"}]},
            "没有这个主题。",
            "There is no such topic.",
        ),
        ({"type": "message", "to_user_id": 999_999, "message": "Hello!"}, "没有这个用户。", "There is no such user."),
    ],
)
async def test_it_refuses_in_the_clients_language(pair, frame, chinese, english):
    for socket, expected in zip(pair, (chinese, english), strict=True):
        await socket.send(frame)
        assert (await socket.find("error"))["message"] == expected


async def test_it_owns_up_in_the_clients_language(caplog):
    connection, paper = open_connection()
    for language, expected in (("zh-hans", "服务器出了点问题。"), ("en", "Something went wrong on our side.")):
        connection.language = language
        answer(connection, RuntimeError("secret"), "c-1")
        assert paper.frames[-1]["message"] == expected
    assert "secret" in caplog.text


async def test_it_answers_a_session_that_is_unknown_in_the_clients_language(site, alice):
    socket = await site.connect(alice, path="/ws/reconnect/none", headers=CHINESE)
    assert (await socket.find("error"))["message"] == "没有这个会话：请用自己记录的位置恢复。"


async def test_it_speaks_so_on_sockets_for_one_purpose(site, alice, general):
    socket = await site.connect(alice, path="/ws/chat/rooms/general", headers=CHINESE)
    await socket.send({"type": "join", "id": "c-1"})
    assert (await socket.find("error"))["message"] == "此连接没有 `join` 这个命令。"


@pytest.mark.parametrize(
    ("how", "status", "chinese", "english"),
    [
        ({"path": "/nowhere"}, 404, "此地址不提供连接。", "There is no socket at this address."),
        (
            {"headers": {"origin": "https://evil.example"}},
            403,
            "不允许来自此来源的连接。",
            "This origin is not allowed.",
        ),
        ({}, 503, "服务器已满，请稍后再试。", "This server is full. Try again later."),
    ],
)
async def test_it_refuses_handshakes_in_the_clients_language(site, alice, configure, how, status, chinese, english):
    configure(MAX_CONNECTIONS=0)
    for languages, expected in ((CHINESE, chinese), ({}, english)):
        with pytest.raises(Refusal) as refusal:
            await site.knock(alice, **{**how, "headers": {**how.get("headers", {}), **languages}})
        assert (refusal.value.status, refusal.value.text) == (status, expected)
