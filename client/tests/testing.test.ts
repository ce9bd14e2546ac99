/** The fake server by itself: it speaks the protocol of `docs/protocol.md`. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { createFakeServer, type FakeServer, settle } from "../src/testing.js";
import type { TransportSocket } from "../src/types.js";
import { judge } from "./document.js";

type Frame = { type: string; [key: string]: any };

let server: FakeServer;

beforeEach(() => {
  server = createFakeServer({ rooms: { general: { title: "General", messages: ["one", "two", "three"] } } });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

class Peer {
  readonly frames: Frame[] = [];
  end: number | null = null;
  readonly socket: TransportSocket;

  constructor(of = server, path = "/api/v1/ws", protocols: string[] = []) {
    this.socket = of.transport.open(
      { url: `ws://fake.test${path}`, protocols },
      { message: (text) => this.frames.push(JSON.parse(text)), close: (code) => (this.end = code) },
    );
  }

  async send(...commands: object[]): Promise<Frame[]> {
    const before = this.frames.length;
    for (const command of commands) this.socket.send(JSON.stringify(command));
    await settle();
    return this.frames.slice(before);
  }
}

async function connect(path?: string, protocols?: string[]): Promise<Peer> {
  const peer = new Peer(server, path, protocols);
  await settle();
  return peer;
}

function types(frames: Frame[]): string[] {
  return frames.map(({ type }) => type);
}

describe("a socket", () => {
  test.each([
    ["/api/v1/ws", [], { kind: "session", value: "" }],
    ["/api/v1/ws?token=abc", [], { kind: "token", value: "abc" }],
    ["/api/v1/ws?ticket=abc", [], { kind: "ticket", value: "abc" }],
    ["/api/v1/ws", ["realtime.v1", "bearer.abc"], { kind: "token", value: "abc" }],
  ])("%s %s is opened with %o", async (path, protocols, credential) => {
    const { frames } = await connect(path, protocols);
    expect(frames).toMatchObject([{ type: "connected", data: { user_id: 1, streams: { site: 0, "user.1": 0 } } }]);
    expect(server.attempts).toEqual([credential]);
  });

  test("is answered while a test has replaced `queueMicrotask`, as Jest's fake timers do", async () => {
    vi.useFakeTimers({ toFake: ["queueMicrotask"] });
    const frames = await (await connect()).send({ type: "ping" }, { type: "join", room_id: "general", id: "a" });
    expect(types(frames)).toContain("pong");
    expect(types(frames)).toContain("joined");
  });

  test("is refused without a user, and cannot be opened while the server is away", async () => {
    server.user = null;
    const refused = await connect();
    expect(refused.frames).toMatchObject([{ type: "disconnect", code: 4401, reconnect: false }]);
    expect(refused.end).toBe(4401);
    server.isAway = true;
    expect((await connect()).end).toBe(1006);
  });

  test("ends with a drop, or with a goodbye that says whether to come back", async () => {
    const dropped = await connect();
    server.drop();
    await settle();
    const restarted = await connect();
    server.goodbye(1012, { reason: "RESTARTING", retryAfterMs: 50 });
    await settle();
    expect([dropped.end, restarted.end]).toEqual([1006, 1012]);
    expect(restarted.frames.at(-1)).toMatchObject({ type: "disconnect", reconnect: true, retry_after_ms: 50 });
    expect(server.sockets.size).toBe(0);
  });
});

test("what was sent is waited for though fake timers were there before this module, as Jest's may be for all tests", async () => {
  vi.useFakeTimers();
  vi.resetModules();
  const late = await import("../src/testing.js");
  const peer = new Peer(late.createFakeServer());
  await late.settle();
  expect(types(peer.frames)).toEqual(["connected"]);
});

describe("a command", () => {
  test("is answered with its id, once it is not held any more", async () => {
    const peer = await connect();
    server.hold();
    expect(await peer.send({ type: "ping", timestamp: 5, id: "a" })).toEqual([]);
    server.release();
    expect(await peer.send({ type: "nonsense", id: "b" })).toMatchObject([
      { type: "pong", timestamp: 5, id: "a" },
      { type: "error", error_code: "UNKNOWN_MESSAGE_TYPE", id: "b" },
    ]);
  });

  test("is refused as often as the test says", async () => {
    const peer = await connect();
    server.failNext("message", "RATE_LIMITED", { retry_after_ms: 100 });
    const message = { type: "message", room_id: "general", message: "Hi", id: "a" };
    expect(await peer.send(message)).toMatchObject([{ error_code: "RATE_LIMITED", retry_after_ms: 100, id: "a" }]);
    expect(types(await peer.send(message))).toEqual(["ack"]);
  });

  test("that is sent again is stored once", async () => {
    const [peer, other] = [await connect(), await connect()];
    await other.send({ type: "join", room_id: "general" });
    const message = { type: "message", room_id: "general", message: "Hi", id: "a" };
    const [first, again] = await peer.send(message, message);
    expect(again).toEqual(first);
    expect(other.frames.filter(({ type }) => type === "chat")).toMatchObject([{ seq: 4, data: { client_id: "a" } }]);
  });

  test("for a room that does not exist is refused", async () => {
    const peer = await connect();
    const frames = await peer.send({ type: "join", room_id: "nowhere", id: "a" });
    expect(frames).toMatchObject([{ error_code: "NOT_FOUND", id: "a" }]);
  });
});

test("its frames are those of the AsyncAPI document", async () => {
  const peer = await connect();
  const send = (type: string, more: object = {}): Promise<Frame[]> => peer.send({ type, id: type, ...more });
  await connect(); // another socket, to which the first one is shown
  server.heartbeat();
  server.setTopic("load", 9);
  server.setStatus(2, "online");
  await send("ping");
  await send("join", { room_id: "general" });
  await send("subscribe", { topic: "load" });
  await send("message", { room_id: "general", message: "Hi" });
  await send("join", { room_id: "nowhere" });
  await send("resume", { streams: { "room.general": 1, site: 99 } });
  const { id } = server.notify({ title: "First" });
  server.inbox.act("archive", [id], {});
  await send("unsubscribe", { topic: "load" });
  await send("leave", { room_id: "general" });
  server.goodbye(1012, { reason: "RESTARTING", retryAfterMs: 50 });
  await settle();
  expect(new Set(types(peer.frames)).size).toBeGreaterThan(14);
  expect(peer.frames.flatMap((frame) => judge(frame))).toEqual([]);
  expect(judge({ type: "ack" })).not.toEqual([]);
});

describe("coming back", () => {
  test("brings what follows a position, and then the live events", async () => {
    const peer = await connect();
    const frames = await peer.send({ type: "resume", streams: { "room.general": 1 }, id: "r" });
    expect(frames.map(({ type, seq }) => [type, seq])).toEqual([["chat", 2], ["chat", 3], ["resumed", undefined]]);
    expect(frames.at(-1)!.streams).toEqual({ "room.general": { recovered: true, seq: 3 } });
    server.chat("general", "four");
    expect((await peer.send()).map(({ seq }) => seq)).toEqual([4]);
  });

  test("with `since`, after the answer", async () => {
    const peer = await connect();
    expect(types(await peer.send({ type: "join", room_id: "general", since: 2 }))).toEqual(["joined", "chat"]);
  });

  test.each([["what is forgotten", 1], ["what never was", 99]])("with %s is not recovered", async (_, since) => {
    server.log.forget("room.general");
    const frames = await (await connect()).send({ type: "resume", streams: { "room.general": since } });
    const fetch = `/api/v1/rooms/general/messages?after=${since}`;
    expect(frames[0]!.streams).toEqual({ "room.general": { recovered: false, seq: 3, fetch } });
  });
});

describe("the REST API", () => {
  async function get(path: string, init?: RequestInit): Promise<any> {
    return (await server.fetch(`http://fake.test/api/v1${path}`, init)).json();
  }

  test.each([undefined, "http://page.test/chat/"])("takes an address that is relative to the page at %s", async (href) => {
    if (href) vi.stubGlobal("location", { href });
    expect((await (await server.fetch("/api/v1/rooms/general")).json()).title).toBe("General");
  });

  test("has pages of the history in both directions", async () => {
    const seqs = (page: any): number[] => page.messages.map(({ seq }: any) => seq);
    const newest = await get("/rooms/general/messages?limit=2");
    expect([seqs(newest), newest.next_before]).toEqual([[3, 2], 2]);
    expect(seqs(await get(`/rooms/general/messages?limit=2&before=${newest.next_before}`))).toEqual([1]);
    const after = await get("/rooms/general/messages?limit=1&after=1");
    expect([seqs(after), after.next_after]).toEqual([[2], 2]);
  });

  test("has an inbox whose acts can be undone, and are announced", async () => {
    const peer = await connect();
    server.notify({ title: "First" });
    const { id } = server.notify({ title: "Second" });
    const body = JSON.stringify({ act: "archive", ids: [id] });
    const { undo, counts } = await get("/notifications/acts", { method: "POST", body });
    expect(counts).toEqual({ unread: 1, unseen: 1 });
    expect((await get("/notifications")).notifications.map(({ title }: any) => title)).toEqual(["First"]);
    await get("/notifications/undo", { method: "POST", body: JSON.stringify({ undo }) });
    expect((await get("/notifications")).notifications.map(({ title }: any) => title)).toEqual(["Second", "First"]);
    await settle();
    expect(types(peer.frames).slice(1)).toEqual(["notification", "notification", "inbox", "inbox"]);
  });

  test("answers 404 for what it does not know, and what the test adds", async () => {
    expect(await get("/orders")).toMatchObject({ code: "NOT_FOUND" });
    server.routes.push(({ path }) => (path === "/orders" ? { orders: [] } : undefined));
    expect(await get("/orders")).toEqual({ orders: [] });
    server.isAway = true;
    await expect(get("/orders")).rejects.toThrow(TypeError);
  });

  test("reads what an action is taken on, and what the command names", async () => {
    const peer = await connect();
    const [one, two] = [server.notify({}), server.notify({ actor: { user_id: 7, name: "ann" } })];
    server.inbox.take(one.id, "accept");
    expect(server.inbox.counts.unread).toBe(1);
    expect(types(await peer.send({ type: "read", notification_ids: [two.id, 999], id: "r" }))).toContain("ack");
    expect(server.inbox.counts.unread).toBe(0);
    expect((await get("/notifications?actor=7")).notifications).toHaveLength(1);
    expect((await get("/notifications?since=2999-01-01T00:00:00Z")).notifications).toEqual([]);
  });

  test("knows how far the user has read, and which status they have set", async () => {
    const peer = await connect();
    await peer.send({ type: "read", room_id: "general", seq: 1 });
    expect(await get("/rooms/general")).toMatchObject({ last_read_seq: 1, unread: 2 });
    await peer.send({ type: "presence", status: "busy" });
    expect(await get("/status/1")).toMatchObject({ status: "busy" });
    server.setStatus(2, "online");
    server.setStatus(2, "online");
    expect(await get("/online/count")).toEqual({ online_count: 2 });
  });

  test("refuses the token of another user, and closes that socket alone if there is no user", async () => {
    const [peer, other] = [await connect(), await connect()];
    server.findUser = () => 2;
    expect((await peer.send({ type: "auth", token: "bob's" }))[0]).toMatchObject({ error_code: "FORBIDDEN" });
    server.findUser = () => null;
    await peer.send({ type: "auth", token: "ended" });
    expect([types(peer.frames).at(-1), types(other.frames).at(-1)]).toEqual(["disconnect", "connected"]);
  });
});
