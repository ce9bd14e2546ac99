/** Rooms, topics and presence as a page shows them. */

import { beforeEach, describe, expect, test, vi } from "vitest";

import type { Room } from "../src/index.js";
import { Refusal, settle } from "../src/testing.js";
import { codeOf, connect, pass, sent, useSite } from "./core_site.js";

const site = useSite();
let room: Room;

beforeEach(() => {
  room = site.client.room("general");
});

async function open(): Promise<void> {
  room.join();
  await connect(site.client);
}

function shown(of = room): string[] {
  return of.messages.map(({ text, status }) => (status === "stored" ? text : `${text} (${status})`));
}

async function comeBack(whileAway: () => void): Promise<void> {
  site.server.drop();
  await settle();
  whileAway();
  await pass(500);
}

describe("messages", () => {
  test("joining loads the newest ones", async () => {
    await open();
    expect(room.getSnapshot()).toMatchObject({ status: "joined", title: "general", loading: false, error: null });
    expect(shown()).toEqual(["one", "two", "three"]);
    expect(room.messages[0]).toMatchObject({ userId: 2, username: "bob", mine: false, seq: 1, clientId: null });
  });

  test("one that is sent shows at once, and is stored under the same key", async () => {
    await open();
    const sending = room.send("four");
    expect(shown()).toEqual(["one", "two", "three", "four (sending)"]);
    const { key } = room.messages.at(-1)!;
    await sending;
    await settle();
    expect(shown()).toEqual(["one", "two", "three", "four"]);
    expect(room.messages.at(-1)).toMatchObject({ key, clientId: key, mine: true, userId: 1, seq: 4 });
  });

  test("another user's with an id of this page takes the place of none", async () => {
    await open();
    await room.send("mine");
    await settle();
    const { clientId } = room.messages.at(-1)!;
    site.server.chat("general", "theirs", { from_user_id: 2, client_id: clientId! });
    await settle();
    expect(shown().slice(-2)).toEqual(["mine", "theirs"]);
    expect(room.messages.at(-1)).toMatchObject({ mine: false, clientId: null });
  });

  test("one that is refused stays as failed, and is sent again with the same id, or discarded", async () => {
    await open();
    site.server.failNext("message", "FORBIDDEN");
    expect(await codeOf(room.send("four"))).toBe("FORBIDDEN");
    await settle();
    expect(shown().at(-1)).toBe("four (failed)");
    const { clientId } = room.messages.at(-1)!;
    await room.retry(clientId);
    await settle();
    expect(shown().at(-1)).toBe("four");
    expect(sent(site.server, "message").map(({ id }) => id)).toEqual([clientId, clientId]);
    await expect(room.retry(clientId)).rejects.toThrow(TypeError);
    void room.retry(clientId); // a second click, which nobody looks at
    await expect(room.retry(room.messages[0]!.clientId)).rejects.toThrow(TypeError); // of another user

    site.server.failNext("message", "FORBIDDEN");
    await codeOf(room.send("five"));
    await settle();
    room.discard(room.messages[0]!.clientId);
    room.discard(room.messages.at(-1)!.clientId);
    expect(shown()).toEqual(["one", "two", "three", "four"]);
  });

  test("those of others come in their order before those that are not stored", async () => {
    await open();
    site.server.hold();
    void room.send("mine");
    site.server.chat("general", "four");
    await settle();
    expect(shown()).toEqual(["one", "two", "three", "four", "mine (sending)"]);
    site.server.release();
    await settle();
    expect(shown()).toEqual(["one", "two", "three", "four", "mine"]);
  });

  test("after a reconnect nothing is missing, and nothing twice", async () => {
    await open();
    await comeBack(() => {
      void room.send("mine");
      site.server.chat("general", "four");
    });
    expect(shown()).toEqual(["one", "two", "three", "four", "mine"]);
  });

  test("after a reconnect, what no event says is known, too", async () => {
    site.server.rooms.get("general")!.lastRead = 1;
    await open();
    expect(room.unread).toBe(2);
    await comeBack(() => Object.assign(site.server.rooms.get("general")!, { lastRead: 3, title: "Tea room" }));
    expect(room.getSnapshot()).toMatchObject({ unread: 0, lastReadSeq: 3, title: "Tea room" });
  });

  test("after a reconnect, what no event says is asked for again if the server cannot say it yet", async () => {
    site.server.rooms.get("general")!.lastRead = 1;
    await open();
    const refuse = (): never => {
      throw new Refusal(503, "UNAVAILABLE");
    };
    site.server.routes.push(refuse);
    await comeBack(() => Object.assign(site.server.rooms.get("general")!, { lastRead: 3, title: "Tea room" }));
    expect(room.getSnapshot()).toMatchObject({ unread: 2, error: null });
    site.server.routes.splice(0);
    await pass(500);
    expect(room.getSnapshot()).toMatchObject({ unread: 0, lastReadSeq: 3, title: "Tea room" });
  });

  test("after a gap whose page cannot be loaded, there is nothing older to ask for", async () => {
    for (let count = 0; count < 60; count++) site.server.chat("general", `old ${count}`);
    await open();
    expect(room.hasOlder).toBe(true);
    site.server.routes.push(({ path }) => {
      if (path.endsWith("/messages")) throw new Refusal(404, "NOT_FOUND");
      return undefined;
    });
    await comeBack(() => {
      site.server.log.replay = () => ({ events: [], outcome: { recovered: false, seq: 99 } });
    });
    const requests = site.server.requests.length;
    await room.loadOlder();
    expect(site.server.requests.length).toBe(requests);
  });

  test("after a gap, what the log has forgotten comes from the history", async () => {
    await open();
    await comeBack(() => {
      site.server.chat("general", "four");
      site.server.log.forget("room.general");
    });
    expect(shown()).toEqual(["one", "two", "three", "four"]);
  });

  test("after a gap, the newest page takes the place of what does not touch it", async () => {
    await open();
    await comeBack(() => {
      for (let count = 0; count < 60; count++) site.server.chat("general", `missed ${count}`);
      site.server.log.replay = () => ({
        events: [],
        outcome: { recovered: false, seq: 63, fetch: "/api/v1/rooms/general/messages?after=3" },
      });
    });
    expect(room.messages).toHaveLength(50);
    expect(shown()[0]).toBe("missed 10");
    expect(room.hasOlder).toBe(true);
    await room.loadOlder();
    expect(shown()).toHaveLength(63);
    expect(shown().slice(0, 4)).toEqual(["one", "two", "three", "missed 0"]);
    expect(room.hasOlder).toBe(false);
  });

  test("a history without a beginning may be wrong from anywhere on", async () => {
    await open();
    site.server.routes.push(({ path }) =>
      path.endsWith("/messages") ? { messages: [site.server.history("general")[0]], next_before: null } : undefined,
    );
    const fetch = "/api/v1/rooms/general/messages";
    site.server.broadcast({ type: "resumed", streams: { "room.general": { recovered: false, seq: 1, fetch } } });
    await settle();
    expect(shown()).toEqual(["one"]);
  });

  test("only so many are kept", async () => {
    const client = site.open({ limits: { messagesPerRoom: 3 } });
    const few = client.room("general");
    few.join();
    await connect(client);
    site.server.chat("general", "four");
    await settle();
    expect(shown(few)).toEqual(["two", "three", "four"]);
    expect(few.hasOlder).toBe(true);
    await few.loadOlder();
    expect(shown(few)).toEqual(["one", "two", "three", "four"]);
  });

  test.each([
    [503, "UNAVAILABLE"],
    [500, "MESSAGE_PROCESSING_ERROR"],
    [502, "a word of the site"],
  ])("a history that cannot be loaded is loaded later: %d %s", async (status, code) => {
    let isBroken = true;
    site.server.routes.push(({ path }) => {
      if (isBroken && path.endsWith("/messages")) throw new Refusal(status, code);
      return undefined;
    });
    await open();
    expect(room.getSnapshot().error).toMatchObject({ code });
    isBroken = false;
    await pass(500);
    expect(room.getSnapshot().error).toBeNull();
    expect(shown()).toHaveLength(3);
  });
});

/** The answers of requests for the history wait until this is called. */
function holdHistory(): () => void {
  let release!: () => void;
  const released = new Promise<void>((resolve) => (release = resolve));
  globalThis.fetch = async (input, init) => {
    const answer = await site.server.fetch(input, init);
    if (String(input).includes("/messages")) await released;
    return answer;
  };
  return () => {
    globalThis.fetch = site.server.fetch;
    release();
  };
}

describe("a message that arrives while the history is loaded", () => {
  const MISSED = Array.from({ length: 60 }, (_, count) => `missed ${count}`);
  const ALL = ["one", "two", "three", ...MISSED, "live"];

  async function goLive(release: () => void): Promise<void> {
    site.server.chat("general", "live");
    await settle();
    release();
    await settle();
  }

  async function load(): Promise<void> {
    while (room.hasOlder) await room.loadOlder();
  }

  test("hides nothing that was missed since the room was left", async () => {
    const leave = room.join();
    await connect(site.client);
    leave();
    await pass(1_000);
    for (const text of MISSED) site.server.chat("general", text);
    const release = holdHistory();
    room.join();
    await settle();
    await goLive(release);
    await load();
    expect(shown()).toEqual(ALL);
  });

  test("hides nothing that was missed before a gap", async () => {
    await open();
    const { replay } = site.server.log;
    const release = holdHistory();
    await comeBack(() => {
      for (const text of MISSED) site.server.chat("general", text);
      const fetch = "/api/v1/rooms/general/messages?after=3";
      site.server.log.replay = () => ({ events: [], outcome: { recovered: false, seq: 63, fetch } });
    });
    site.server.log.replay = replay;
    await goLive(release);
    await load();
    expect(shown()).toEqual(ALL);
  });

  test("stays, also if nothing of what was known does", async () => {
    await open();
    const release = holdHistory();
    const fetch = "/api/v1/rooms/general/messages";
    site.server.broadcast({ type: "resumed", streams: { "room.general": { recovered: false, seq: 3, fetch } } });
    await settle();
    await goLive(release);
    expect(shown()).toEqual(["one", "two", "three", "live"]);
  });
});

describe("reload", () => {
  const asked = (): number => site.server.requests.filter(({ path }) => path.endsWith("/messages")).length;

  test("loads the newest messages of a room that is joined", async () => {
    await open();
    const before = asked();
    await room.reload();
    expect(asked()).toBe(before + 1);
    expect(sent(site.server, "join")).toHaveLength(1);
  });

  test("loads again at once after a failure, and never rejects", async () => {
    let code = "FORBIDDEN";
    site.server.routes.push(({ path }) => {
      if (code && path.endsWith("/messages")) throw new Refusal(403, code);
      return undefined;
    });
    await open();
    await room.reload();
    expect(room.error).toMatchObject({ code: "FORBIDDEN" });
    code = "";
    await room.reload();
    expect([room.error, shown()]).toEqual([null, ["one", "two", "three"]]);
  });

  test("joins before, if that has failed", async () => {
    site.server.failNext("join", "CONFLICT");
    await open();
    expect(room).toMatchObject({ status: "idle", messages: [], error: { code: "CONFLICT" } });
    await room.reload();
    expect(room).toMatchObject({ status: "joined", error: null });
    expect(shown()).toHaveLength(3);
  });

  test("joins no room that nobody uses", async () => {
    await connect(site.client);
    await room.reload();
    expect(room.status).toBe("idle");
    expect(shown()).toHaveLength(3);
    expect(sent(site.server, "join")).toEqual([]);
  });
});

describe("joining", () => {
  test("counts: the room is left when the last one has left", async () => {
    const [first, second] = [room.join(), room.join()];
    await connect(site.client);
    first();
    first();
    await pass(1_000);
    expect(sent(site.server, "leave")).toEqual([]);
    second();
    await pass(999);
    expect(sent(site.server, "leave")).toEqual([]);
    await pass(1);
    expect(sent(site.server, "leave")).toMatchObject([{ room_id: "general" }]);
    expect(room.getSnapshot().status).toBe("idle");
    room.leave();
    await pass(1_000);
    expect(sent(site.server, "leave")).toHaveLength(1);
  });

  test("a view that is mounted again goes on with what it had", async () => {
    const leave = room.join();
    await connect(site.client);
    leave();
    room.join();
    await pass(5_000);
    expect(sent(site.server, "join")).toHaveLength(1);
    expect(sent(site.server, "leave")).toEqual([]);
  });

  test("a view that is mounted again after the answer has come goes on as well", async () => {
    const leave = room.join();
    site.server.hold();
    await connect(site.client);
    leave();
    site.server.release();
    await settle();
    room.join();
    await pass(5_000);
    expect(room.status).toBe("joined");
    expect(shown()).toEqual(["one", "two", "three"]);
  });

  test.each(["close", "signOut"] as const)("a room that a view joins after %s has not failed: it waits for a connection", async (end) => {
    await connect(site.client);
    site.client[end]();
    const errors: unknown[] = [];
    room.subscribe(() => errors.push(room.error));
    room.join();
    await settle();
    await connect(site.client);
    expect(room.getSnapshot()).toMatchObject({ status: "joined", error: null });
    expect(errors.filter(Boolean)).toEqual([]);
  });

  test("a room that does not exist", async () => {
    const none = site.client.room("none");
    none.join();
    await connect(site.client);
    expect(none.getSnapshot()).toMatchObject({ status: "gone", error: { code: "NOT_FOUND" } });
  });

  test.each(["none", "general"])("%s, to which the user is invited later, is joined by a reload", async (name) => {
    const later = site.client.room(name);
    later.join();
    await connect(site.client);
    if (name === "general") site.server.broadcast({ type: "left", room_id: name, reason: "REMOVED" });
    else site.server.rooms.set(name, { title: name });
    await settle();
    expect(later.status).toBe("gone");
    await later.reload();
    expect(later.getSnapshot()).toMatchObject({ status: "joined", error: null });
    site.server.chat(name, "welcome");
    await settle();
    expect(later.messages.at(-1)!.text).toBe("welcome");
  });

  test("a room that was left, or that does not exist, is not asked for with each new socket", async () => {
    site.server.routes.push(({ path }) => {
      if (path.endsWith("/messages")) throw new Refusal(403, "FORBIDDEN");
      return undefined;
    });
    const leave = room.join();
    site.client.room("none").join();
    await connect(site.client);
    expect(room.getSnapshot()).toMatchObject({ status: "joined", error: { code: "FORBIDDEN" } });
    leave();
    await pass(1_000);
    const before = site.server.requests.length;
    await comeBack(() => {});
    expect(site.client.state.status).toBe("online");
    expect(site.server.requests).toHaveLength(before);
  });

  test("a room from which the user was removed", async () => {
    await open();
    site.server.broadcast({ type: "left", room_id: "general", reason: "REMOVED" });
    await settle();
    expect(room.getSnapshot().status).toBe("gone");
  });

  test("another user sees nothing of the first, and joins anew", async () => {
    await open();
    site.client.signOut();
    expect(room.getSnapshot()).toMatchObject({ status: "idle", messages: [], unread: null });
    site.server.user = 7;
    await connect(site.client);
    expect(room.getSnapshot().status).toBe("joined");
    expect(shown()).toHaveLength(3);
  });

  test.each(["the page", "the server"])("after %s has closed the socket, a new one joins anew", async (who) => {
    await open();
    if (who === "the page") site.client.close();
    else site.server.goodbye(4400, { reason: "TOO_MANY_ERRORS" });
    await settle();
    expect(site.client.state.status).toBe("closed");
    site.server.chat("general", "four");
    await connect(site.client);
    expect(sent(site.server, "join")).toHaveLength(2);
    expect(shown()).toEqual(["one", "two", "three", "four"]);
  });

  test("frames of other rooms are not of this one", async () => {
    await open();
    const heard: string[] = [];
    room.on("chat", ({ data }) => heard.push(data.message));
    await site.client.send({ type: "join", room_id: "team" });
    site.server.chat("team", "not here");
    site.server.chat("general", "here");
    await settle();
    expect(heard).toEqual(["here"]);
    expect(shown()).toEqual(["one", "two", "three", "here"]);
  });

  test("a new title", async () => {
    await open();
    site.server.broadcast({ type: "room_updated", room_id: "general", title: "Tea room", private: false });
    await settle();
    expect(room.getSnapshot().title).toBe("Tea room");
  });
});

describe("reading and typing", () => {
  beforeEach(() => {
    site.server.rooms.get("general")!.lastRead = 1;
  });

  test("what is unread is known, and read once", async () => {
    await open();
    expect(room.unread).toBe(2);
    site.server.chat("general", "four");
    await settle();
    expect(room.unread).toBe(3);
    room.markRead();
    room.markRead();
    expect(room.unread).toBe(0);
    await settle();
    expect(sent(site.server, "read")).toMatchObject([{ room_id: "general", seq: 4 }]);
    site.server.broadcast({ type: "read", data: { room_id: "general", seq: 2, unread: 2 } }); // older than ours
    await settle();
    expect(room.getSnapshot()).toMatchObject({ unread: 0, lastReadSeq: 4 });
  });

  test("what is read while the connection is away is told later", async () => {
    await open();
    await comeBack(() => room.markRead(2));
    expect(sent(site.server, "read")).toMatchObject([{ seq: 2 }]);
    expect(room.unread).toBe(1);
  });

  test("what the server was not told counts as unread again, and can be told later", async () => {
    await open();
    site.server.drop();
    await settle();
    room.markRead();
    expect(room.unread).toBe(0);
    site.client.close();
    await settle();
    expect(room.getSnapshot()).toMatchObject({ lastReadSeq: null, unread: null });
    await connect(site.client);
    expect(room.getSnapshot()).toMatchObject({ lastReadSeq: 1, unread: 2 });
    room.markRead();
    await settle();
    expect(sent(site.server, "read")).toMatchObject([{ seq: 3 }]);
  });

  test("what the server has refused can be told again", async () => {
    await open();
    site.server.failNext("read", "MESSAGE_PROCESSING_ERROR");
    for (let count = 0; count < 2; count++) {
      room.markRead();
      await settle();
    }
    expect(sent(site.server, "read")).toMatchObject([{ seq: 3 }, { seq: 3 }]);
    expect(room.getSnapshot()).toMatchObject({ lastReadSeq: 3, unread: 0 });
  });

  test("another device has read", async () => {
    await open();
    site.server.broadcast({ type: "read", data: { room_id: "general", seq: 3, unread: 0 } });
    await settle();
    expect(room.unread).toBe(0);
  });

  test("typing is told now and then, and ends with the message", async () => {
    await open();
    const told = (): boolean[] => sent(site.server, "typing").map(({ data }) => data.is_typing);
    for (let key = 0; key < 5; key++) room.typing();
    await settle();
    expect(told()).toEqual([true]);
    await pass(5_000);
    room.typing();
    await settle();
    expect(told()).toEqual([true, true]);
    await room.send("four");
    room.typing(false);
    await settle();
    expect(told()).toEqual([true, true, false]);
  });

  test("who types, until they stop, write, or nothing is heard of it", async () => {
    await open();
    const type = async (user_id: number, is_typing = true): Promise<void> => {
      site.server.broadcast({ type: "typing", data: { user_id, is_typing, context: "general" } });
      await settle();
    };
    await type(2);
    await type(3);
    await type(4);
    expect(room.typingUsers).toEqual([2, 3, 4]);
    await type(3, false);
    site.server.chat("general", "four");
    await settle();
    expect(room.typingUsers).toEqual([4]);
    await pass(15_000);
    expect(room.typingUsers).toEqual([]);
  });
});

describe("topics", () => {
  test("the last value, on each socket again", async () => {
    const topic = site.client.topic<number>("load");
    const values: number[] = [];
    topic.on((value) => values.push(value));
    site.server.setTopic("load", 1);
    const leave = topic.join();
    await connect(site.client);
    expect(topic.value).toBe(1);
    await comeBack(() => {});
    site.server.setTopic("load", 2);
    await settle();
    expect(topic.getSnapshot()).toBe(2);
    expect(values.at(-1)).toBe(2);
    leave();
    await pass(1_000);
    expect(sent(site.server, "unsubscribe")).toMatchObject([{ topic: "load" }]);
  });

  test("a socket that comes while one view takes the place of another subscribes as well", async () => {
    const topic = site.client.topic("load");
    const leave = topic.join();
    await connect(site.client);
    site.server.drop();
    await settle();
    leave();
    await pass(900);
    topic.join();
    site.server.setTopic("load", 3);
    await settle();
    expect(topic.value).toBe(3);
  });

  test("a topic that is refused on a new socket has no value, and says why until it is not refused any more", async () => {
    site.server.setTopic("load", 1);
    const topic = site.client.topic("load");
    topic.join();
    await connect(site.client);
    expect(topic.value).toBe(1);
    site.server.failNext("subscribe", "FORBIDDEN");
    site.server.drop();
    await pass(500);
    const { status } = site.client.state;
    expect([status, topic.value, topic.error?.message]).toEqual(["online", undefined, "Refused: FORBIDDEN."]);
    site.server.drop();
    await pass(1_000); // the second pause is twice as long
    expect([topic.value, topic.error]).toEqual([1, null]);
  });

  test("a topic whose connection ends is not refused", async () => {
    await connect(site.client);
    const topic = site.client.topic("load");
    site.server.hold();
    topic.join();
    await settle();
    site.client.close();
    await settle();
    expect(topic.error).toBeNull();
  });

  test("a topic that may not be read any more has no value", async () => {
    site.server.setTopic("load", 1);
    const topic = site.client.topic("load");
    topic.join();
    await connect(site.client);
    site.server.broadcast({ type: "unsubscribed", topic: "load", reason: "REMOVED" });
    await settle();
    expect(topic.value).toBeUndefined();
  });
});

describe("presence", () => {
  test("the number follows the frames", async () => {
    site.server.onlineCount = 5;
    await connect(site.client);
    expect(site.client.presence.onlineCount).toBe(5);
    site.server.setStatus(2, "online");
    site.server.setStatus(3, "online");
    site.server.setStatus(2, "offline");
    await settle();
    expect(site.client.presence.onlineCount).toBe(6);
    site.server.broadcast({ type: "online_count", data: { online_count: 60 } });
    await settle();
    expect(site.client.presence.onlineCount).toBe(60);
  });

  test("the authors of messages can be watched, also if one of them is deleted and has no id", async () => {
    site.server.chat("general", "from nobody", { from_user_id: null });
    site.server.statuses.set("2", "busy");
    const room = site.client.room("general");
    room.join();
    await connect(site.client);
    const { presence } = site.client;
    presence.watch(room.messages.map(({ userId }) => userId));
    await pass(0);
    const asked = site.server.requests.filter(({ path }) => path === "/status");
    expect(asked.map(({ query }) => query.get("user_ids"))).toEqual(["2"]);
    expect(presence.users).toEqual({ 2: "busy" });
  });

  test("the user's own status is looked up when it was set", async () => {
    await connect(site.client);
    const { presence } = site.client;
    presence.watch([1]);
    await pass(0);
    expect(presence.status(1)).toBe("online");
    await presence.setStatus("busy");
    await pass(0);
    expect(presence.status(1)).toBe("busy");
  });

  test("those who are watched are looked up in one request, and on each socket again", async () => {
    const { presence } = site.client;
    site.server.statuses.set("2", "online");
    await connect(site.client);
    const stop = [presence.watch([2, 3]), presence.watch([3, 4])];
    await pass(0);
    const asked = (): string[] => site.server.requests.filter(({ path }) => path === "/status").map(({ path }) => path);
    expect(asked()).toHaveLength(1);
    expect(presence.status(2)).toBe("online");
    site.server.broadcast({ type: "presence", data: { user_id: 3, status: "busy", data: {} } });
    site.server.broadcast({ type: "presence", data: { user_id: 9, status: "busy", data: {} } });
    await settle();
    expect(presence.getSnapshot().users).toMatchObject({ 2: "online", 3: "busy" });
    expect(presence.status(9)).toBeUndefined();
    await comeBack(() => {});
    expect(asked()).toHaveLength(2);
    stop.forEach((off) => off());
    await comeBack(() => {});
    expect(asked()).toHaveLength(2);
  });

  const elsewhere = { user_id: 9, status: "busy", data: {} };
  test.each([
    ["a frame", { type: "presence", data: { user_id: 2, status: "away", data: {} } }],
    ["a frame about somebody else", { type: "presence", data: elsewhere }],
    ["a look-up", { type: "online_count", data: { online_count: 60 } }],
  ])("a user whom nobody has watched meanwhile is looked up again after %s", async (_, frame) => {
    const { presence } = site.client;
    site.server.statuses.set("2", "online");
    await connect(site.client);
    const stop = presence.watch([2]);
    await pass(0);
    expect(presence.status(2)).toBe("online");
    stop();
    site.server.statuses.set("2", "away");
    site.server.broadcast(frame);
    await pass(10_000);
    expect(presence.status(2)).toBeUndefined();
    presence.watch([2]);
    await pass(0);
    expect(presence.status(2)).toBe("away");
  });

  test("a user whom somebody watches again while the others are looked up is looked up, too", async () => {
    const { presence } = site.client;
    site.server.statuses.set("2", "online");
    await connect(site.client);
    presence.watch([3]);
    const stop = presence.watch([2]);
    await pass(0);
    stop();
    site.server.statuses.set("2", "away");
    await comeBack(() => presence.watch([2]));
    await pass(0);
    expect(presence.status(2)).toBe("away");
  });

  test.each(["user_status", "presence"])("a %s that comes before an older answer stays", async (type) => {
    const { presence } = site.client;
    let answer!: () => void;
    await connect(site.client);
    vi.stubGlobal("fetch", async (...request: Parameters<typeof fetch>) => {
      const found = await site.server.fetch(...request);
      await new Promise<void>((resolve) => (answer = resolve));
      return found;
    });
    presence.watch([2, 3]);
    await pass(0);
    if (type === "user_status") site.server.setStatus(2, "online");
    else site.server.broadcast({ type, data: { user_id: 2, status: "online", data: {} } });
    // Of somebody who is looked up, but not about the status.
    site.server.broadcast({ type: "typing", data: { user_id: 3, is_typing: true, context: "general" } });
    await settle();
    answer();
    await settle();
    expect(presence.getSnapshot().users).toEqual({ 2: "online", 3: "offline" });
    vi.unstubAllGlobals();
  });

  test("a status that was refused is not set again, but the one before it", async () => {
    await connect(site.client);
    const { presence } = site.client;
    await presence.setStatus("away", { device: "phone" });
    site.server.failNext("presence", "INVALID_MESSAGE");
    const refused = [presence.setStatus("busy", { mood: "?" }), presence.setStatus("busy", { photo: "x".repeat(70_000) })];
    expect(await Promise.all(refused.map(codeOf))).toEqual(["INVALID_MESSAGE", "TOO_LARGE"]);
    const known = sent(site.server, "presence").length;
    await comeBack(() => {});
    const again = sent(site.server, "presence").slice(known);
    expect(again.map(({ status, data }) => [status, Object.keys(data)])).toEqual([["away", ["device"]]]);
  });

  test("the own status is set again on a new socket", async () => {
    await connect(site.client);
    await site.client.presence.setStatus("away", { device: "phone" });
    await comeBack(() => {});
    const expected = { status: "away", data: { device: "phone" } };
    expect(sent(site.server, "presence")).toMatchObject([expected, expected]);
  });
});

test("requests with a ticket's session ask for no ticket each", async () => {
  let count = 0;
  const client = site.open({ credential: () => ({ ticket: `ticket-${++count}` }) });
  await client.rest("GET", "/rooms/general");
  await client.rest("GET", "/rooms/general");
  expect(count).toBe(1);
});

test("requests ask for a new token once when theirs has expired", async () => {
  await connect(site.client);
  const refused = vi.fn();
  site.server.routes.push(({ path }) => {
    if (path !== "/rooms/general" || refused.mock.calls.length) return undefined;
    refused();
    throw new Refusal(401, "TOKEN_EXPIRED");
  });
  await site.client.rest("GET", "/rooms/general");
  expect(site.tokens).toHaveLength(2);
  expect(await codeOf(site.client.rest("GET", "/rooms/none"))).toBe("NOT_FOUND");
});
