/** One socket for all tabs: what each tab sees, and what happens when tabs come, die, or sign out. */

import { readdirSync } from "node:fs";

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { type CredentialSource, type Options, type Realtime, type TransportEvents, Unauthorized } from "../src/index.js";
import { Host } from "../src/share/host.js";
import "../src/share/index.js"; // loaded before the first test, which would have to wait for these two
import "../src/share/leader.js";
import { settle } from "../src/testing.js";
import { type FakeBrowser, type FakePage, installBrowser, installPage, transition } from "./core_browser.js";
import { codeOf, connect, pass, sent, sleep, until, useSite } from "./core_site.js";

// The built package has files of its own for these two.
if (process.env["BUILT"])
  await Promise.all(readdirSync("dist/chunks").map((name) => import(/* @vite-ignore */ `../dist/chunks/${name}`)));

const site = useSite();
let browser: FakeBrowser;
let page: FakePage;

beforeEach(() => {
  page = installPage();
  browser = installBrowser(site.server.transport);
});

afterEach(() => void vi.unstubAllGlobals());

/** With a transport of its own a tab cannot use the worker, which has the server's. */
async function openTab(kind: string, options: Options = {}): Promise<Realtime> {
  const { transport, ...others } = site.server.options;
  const shared = kind === "worker" ? { worker: "/worker.js", transport: undefined } : { transport };
  const tab = site.open({ ...others, ...shared, share: true, user: 1, ...options } as Options);
  await connect(tab);
  await settle();
  return tab;
}

async function openTabs(kind: string, count: number, options: Options = {}): Promise<Realtime[]> {
  const tabs: Realtime[] = [];
  while (tabs.length < count) tabs.push(await openTab(kind, options));
  return tabs;
}

/** The session's cookie, whoever has logged in. */
const COOKIE = { credential: undefined, user: undefined } as unknown as Options;

function shown(tab: Realtime, room = "general"): string[] {
  return tab.room(room).messages.map(({ text }) => text);
}

describe.each(["worker", "leader"])("with a %s", (kind) => {
  test("five tabs are one socket, with one credential", async () => {
    const tabs = await openTabs(kind, 5);
    expect(tabs.map(({ state }) => [state.status, state.transport])).toEqual(Array(5).fill(["online", kind]));
    expect(tabs.map(({ user }) => user)).toEqual(Array(5).fill(1));
    expect(site.server.sockets.size).toBe(1);
    expect(site.server.attempts).toEqual([{ kind: "token", value: "token-1" }]);
  });

  test("each tab gets its own answers, and all get what happens", async () => {
    const [first, second] = await openTabs(kind, 2);
    const answers: object[] = [];
    second!.on("ack", (frame) => answers.push(frame));
    for (const tab of [first!, second!]) tab.room("general").join();
    await settle();
    await first!.room("general").send("four");
    await settle();
    expect([shown(first!), shown(second!)]).toEqual(Array(2).fill(["one", "two", "three", "four"]));
    expect(answers).toEqual([]);
    first!.room("general").markRead();
    await settle();
    expect(second!.room("general").unread).toBe(0);
  });

  test("a room that another tab has joined is none of this one", async () => {
    const [first, second] = await openTabs(kind, 2);
    const heard: string[] = [];
    second!.on("chat", ({ data }) => heard.push(data.message));
    first!.room("general").join();
    await settle();
    site.server.chat("general", "four");
    await settle();
    expect(heard).toEqual([]);
  });

  test("a room is left when the last tab has left, also by dying", async () => {
    const [first, second, third] = await openTabs(kind, 3);
    const leave = [second!, third!].map((tab) => tab.room("general").join());
    await settle();
    leave[0]!();
    await pass(1_000);
    expect(sent(site.server, "leave")).toEqual([]);
    expect(second!.room("general").getSnapshot().status).toBe("idle");
    third!.close();
    await settle();
    expect(sent(site.server, "leave")).toMatchObject([{ room_id: "general" }]);
    expect(first!.state.status).toBe("online");
  });

  test("a room is left when the tab that has joined it has died", async () => {
    const [first, dead] = await openTabs(kind, 2);
    dead!.room("general").join();
    await settle();
    const lock = browser.locks.names.findLast((name) => /^realtime-\w+-0\.\d+$/.test(name));
    browser.locks.kill((name) => name === lock);
    await settle();
    expect(sent(site.server, "leave")).toMatchObject([{ room_id: "general" }]);
    expect(first!.state.status).toBe("online");
  });

  test("tabs ask for a credential one after the other", async () => {
    let asking = 0;
    let most = 0;
    const credential = async (): Promise<string> => {
      most = Math.max(most, ++asking);
      await settle();
      asking--;
      return "token";
    };
    const tabs = await openTabs(kind, 3, { credential });
    for (const tab of tabs) await until(() => expect(tab.user).toBe(1));
    site.server.drop();
    await pass(500);
    await until(() => expect([asking, site.server.sockets.size]).toEqual([0, 1]));
    expect(most).toBe(1);
  });

  test("a client that was closed and connects again asks for its credential again", async () => {
    const tab = await openTab(kind);
    tab.close();
    await connect(tab);
    await settle();
    expect(tab.state).toMatchObject({ status: "online", transport: kind });
    expect(site.tokens).toHaveLength(2);
  });

  test("a callback that hangs in one tab does not keep the others waiting", async () => {
    vi.stubGlobal("reportError", vi.fn());
    const hangs = await openTab(kind, { credential: () => new Promise(() => {}) });
    const other = await openTab(kind, { credential: () => "second" });
    expect(site.server.attempts).toEqual([]);
    await pass(10_000);
    await until(() => expect(other.state.status).toBe("online"));
    expect(site.server.attempts).toEqual([{ kind: "token", value: "second" }]);
    expect(hangs.state.reason).toBe("CREDENTIAL");
  });

  test("a request waits for a credential no longer than a call may take, whoever asks before", async () => {
    vi.stubGlobal("reportError", vi.fn());
    const credential = vi.fn<CredentialSource>().mockReturnValue(new Promise(() => {}));
    const tabs = await openTabs(kind, 3, { credential });
    const codes = Promise.all(tabs.map((tab) => codeOf(tab.rest("GET", "/rooms/general"))));
    const settled = vi.fn();
    void codes.then(settled);
    await pass(9_999);
    expect(settled).not.toHaveBeenCalled();
    await pass(1);
    expect(settled).toHaveBeenCalledWith(["NETWORK", "NETWORK", "NETWORK"]);
  });

  test("a dead socket is replaced, also if a tab that nobody looks at still holds it", async () => {
    const [hidden, looked] = await openTabs(kind, 2);
    looked!.room("general").join();
    await settle();
    site.server.hold(); // nothing is answered
    sleep(2_000);
    looked!.connect();
    await pass(5_000);
    expect(sent(site.server, "ping")).toHaveLength(1);
    site.server.release();
    site.server.chat("general", "four");
    await pass(1_000);
    await settle();
    expect(site.server.attempts).toHaveLength(2);
    expect([hidden!, looked!].map(({ state }) => state.status)).toEqual(["online", "online"]);
    expect(site.server.sockets.size).toBe(1);
    expect(shown(looked!)).toEqual(["one", "two", "three", "four"]);
  });

  test("a socket that says nothing at first is replaced, also if a tab that came later still waits for it", async () => {
    const mute = { send() {}, close: vi.fn() };
    const open = vi.spyOn(site.server.transport, "open").mockReturnValueOnce(mute);
    const first = await openTab(kind);
    await pass(10_000);
    const second = await openTab(kind);
    await pass(5_000); // the first has waited long enough
    expect(mute.close).toHaveBeenCalledOnce();
    await pass(1_000);
    await settle();
    expect([first, second].map(({ state }) => state.status)).toEqual(["online", "online"]);
    expect([open.mock.calls.length, site.server.sockets.size]).toEqual([2, 1]);
  });

  test("what one tab has read, the others hear", async () => {
    const [first, second] = await openTabs(kind, 2);
    const reads = vi.fn();
    second!.on("read", ({ data }) => reads(data));
    await first!.send({ type: "read", notification_ids: [7] });
    await settle();
    expect(reads.mock.calls).toEqual([[{ notification_ids: [7] }]]);
  });

  test("of the statuses that tabs have set, the last one is set again after a reconnect", async () => {
    const tabs = await openTabs(kind, 3);
    const [older, newer] = tabs;
    await newer!.presence.setStatus("away");
    await older!.presence.setStatus("online");
    await newer!.presence.setStatus("busy", { device: "laptop" });
    await settle();
    const before = sent(site.server, "presence").length;
    site.server.drop();
    await pass(500);
    await settle();
    const again = sent(site.server, "presence").slice(before);
    expect(new Set(again.map(({ status, data }) => `${status} ${data.device}`))).toEqual(new Set(["busy laptop"]));
    expect(site.server.statuses.get("1")).toBe("busy");
  });

  test("what another tab has set is seen", async () => {
    const [first, second] = await openTabs(kind, 2);
    second!.presence.watch([1]);
    await first!.presence.setStatus("away");
    await settle();
    expect(second!.presence.status(1)).toBe("away");
  });

  test("the socket ends with the last tab", async () => {
    const tabs = await openTabs(kind, 2);
    tabs[0]!.close();
    await settle();
    expect(site.server.sockets.size).toBe(1);
    tabs[1]!.close();
    await settle();
    expect(site.server.sockets.size).toBe(0);
  });

  test("after a reconnect nothing is missing in any tab, and nothing twice", async () => {
    const tabs = await openTabs(kind, 3);
    for (const tab of tabs) tab.room("general").join();
    await settle();
    site.server.drop();
    await settle();
    site.server.chat("general", "four");
    void tabs[2]!.room("general").send("five");
    await pass(500);
    await settle();
    expect(tabs.map((tab) => shown(tab))).toEqual(Array(3).fill(["one", "two", "three", "four", "five"]));
    expect(site.server.sockets.size).toBe(1);
    expect(sent(site.server, "resume")).toHaveLength(1);
  });

  test("signing out in one tab ends all, and another user begins with nothing", async () => {
    const tabs = await openTabs(kind, 3, COOKIE);
    tabs[1]!.room("general").join();
    await settle();
    site.server.hold();
    const waiting = tabs[1]!.send({ type: "ping" });
    tabs[0]!.signOut();
    await settle();
    expect(tabs.map(({ state, user }) => [state.status, user])).toEqual(Array(3).fill(["signedOut", undefined]));
    expect(await codeOf(waiting)).toBe("SIGNED_OUT");
    expect(shown(tabs[1]!)).toEqual([]);
    expect(site.server.sockets.size).toBe(0);

    site.server.release();
    site.server.user = 7;
    await connect(tabs[0]!);
    await settle();
    expect([tabs[0]!.user, tabs[0]!.state.status]).toEqual([7, "online"]);
    expect([tabs[1]!.user, tabs[1]!.state.status]).toEqual([undefined, "signedOut"]);
  });

  test("the server's end of the login ends all", async () => {
    const tabs = await openTabs(kind, 2);
    site.server.goodbye(4403, { reason: "KICKED" });
    await settle();
    expect(tabs.map(({ state }) => state.reason)).toEqual(["KICKED", "KICKED"]);
  });

  test("nobody is logged in", async () => {
    const credential = (): never => {
      throw new Unauthorized();
    };
    const tabs = await openTabs(kind, 2, { credential });
    expect(tabs.map(({ state }) => state.status)).toEqual(["signedOut", "signedOut"]);
    expect(site.server.attempts).toEqual([]);
  });

  test("tabs that were put aside, and are shown again, go on where they were", async () => {
    const tabs = await openTabs(kind, 2);
    for (const tab of tabs) tab.room("general").join();
    await settle();
    page.window.dispatchEvent(transition("pagehide"));
    page.document.dispatchEvent(new Event("freeze"));
    await settle();
    expect(site.server.sockets.size).toBe(0);
    site.server.chat("general", "four");
    page.document.dispatchEvent(new Event("resume"));
    page.window.dispatchEvent(transition("pageshow"));
    await settle();
    await settle();
    expect(tabs.map((tab) => shown(tab))).toEqual(Array(2).fill(["one", "two", "three", "four"]));
    expect(tabs.map(({ state }) => state.status)).toEqual(["online", "online"]);
    expect(site.server.sockets.size).toBe(1);
    expect(sent(site.server, "join")).toHaveLength(2);
  });
});

test("when the tab that leads dies, another one leads, and nothing is lost", async () => {
  const tabs = await openTabs("leader", 3);
  for (const tab of tabs) tab.room("general").join();
  await settle();
  const [dead, ...others] = tabs;
  const [socket] = site.server.sockets;
  socket!.close(); // its socket goes with it
  site.server.chat("general", "four");
  void others[0]!.room("general").send("five");
  const [leading, ...more] = browser.locks.names.filter((name) => /^realtime-\w+-ws:.*-1$/.test(name));
  expect([leading !== undefined, more]).toEqual([true, []]);
  browser.locks.kill((name) => name === leading);
  await settle();
  await settle();
  expect(others.map(({ state }) => state.status)).toEqual(["online", "online"]);
  expect(others.map((tab) => shown(tab))).toEqual(Array(2).fill(["one", "two", "three", "four", "five"]));
  expect(site.server.sockets.size).toBe(1);
  dead!.close();
  await settle(); // it may have led again, as only its lock has died
});

test.each(["at once", "later", "silently"] as const)("a worker that fails %s is replaced by a leader", async (how) => {
  browser.workerFails = how;
  const tab = await openTab("worker", {});
  await pass(10_000);
  await settle();
  expect(tab.state).toMatchObject({ transport: "leader" });
});

test("a page may close the connection when it hears that the worker has failed", async () => {
  browser.workerFails = "at once";
  const options = { worker: "/worker.js", transport: undefined, share: true, user: 1 };
  const tab = site.open(options as unknown as Options);
  tab.onState(({ status }) => status === "waiting" && tab.close());
  await connect(tab);
  await pass(60_000);
  expect(tab.state.status).toBe("closed");
  expect(site.server.sockets.size).toBe(0);
});

test("a worker that has crashed is noticed when somebody looks at a tab", async () => {
  const tab = await openTab("worker");
  tab.room("general").join();
  await settle();
  browser.workersLive = false;
  sleep(2_000); // what was heard a moment ago needs no probe
  site.server.sockets.forEach((socket) => socket.close());
  site.server.chat("general", "four");
  page.document.dispatchEvent(new Event("visibilitychange"));
  await pass(10_000);
  await settle();
  expect(tab.state).toMatchObject({ status: "online", transport: "leader" });
  expect(shown(tab)).toEqual(["one", "two", "three", "four"]);
});

test("tabs of users, builds and sites that differ have no worker in common", async () => {
  await openTab("worker", { user: 1 });
  await openTab("worker", COOKIE);
  expect(new Set(browser.workers).size).toBe(2);
  expect(browser.workers.every((name) => name.startsWith("realtime-"))).toBe(true);
});

test.skipIf(process.env["BUILT"])("tabs of other builds have a worker of their own", async () => {
  await openTab("worker");
  vi.stubGlobal("__BUILD__", "other");
  vi.resetModules();
  const { createRealtime } = await import("../src/index.js");
  const { transport: _, ...options } = site.server.options;
  const tab = createRealtime({ ...options, credential: () => "token", share: true, user: 1, worker: "/worker.js" });
  tab.connect();
  await until(() => expect(new Set(browser.workers).size).toBe(2));
  expect(browser.workers.at(-1)).toMatch(/^realtime-other-/);
  tab.close();
});

test.skipIf(process.env["BUILT"])("a tab that cannot load the code that leads has its own socket", async () => {
  vi.resetModules();
  vi.doMock("../src/share/leader.js", () => {
    throw new Error("not found");
  });
  const { createRealtime } = await import("../src/index.js");
  const tab = createRealtime({ ...site.server.options, share: true, user: 1 });
  tab.connect();
  await until(() => expect(tab.state).toMatchObject({ status: "online", transport: "fake" }));
  tab.close();
  vi.doUnmock("../src/share/leader.js");
});

test("tabs whose tokens may be of different users share nothing", async () => {
  const tabs = await openTabs("leader", 2, { user: undefined });
  expect(tabs.map(({ state }) => state.transport)).toEqual(["fake", "fake"]);
});

test("without locks, each tab has its own socket", async () => {
  vi.stubGlobal("navigator", { onLine: true });
  const tabs = await openTabs("leader", 2);
  expect(tabs.map(({ state }) => state.transport)).toEqual(["fake", "fake"]);
  expect(site.server.sockets.size).toBe(2);
});

test("a room that one tab is about to leave is resumed for another one", () => {
  const received: string[] = [];
  let server = {} as TransportEvents;
  const open = (_: unknown, events: TransportEvents) => {
    server = events;
    return { send: (text: string) => void received.push(JSON.parse(text).type), close() {} };
  };
  const host = new Host({ name: "fake", open });
  const hear = (tab: string, message: object): void => host.hear({ to: "host", tab, ...message }, () => {});
  const send = (tab: string, command: object): void => hear(tab, { text: JSON.stringify(command) });
  for (const tab of ["a", "b"]) hear(tab, { request: { url: "", protocols: [] } });
  server.message(JSON.stringify({ type: "connected", data: { streams: {} } }));
  const resume = { type: "resume", streams: { "room.general": 3 }, id: "resume" };
  send("a", resume);
  send("a", { type: "leave", room_id: "general", id: "1" });
  send("b", resume);
  expect(received).toEqual(["resume", "leave", "resume"]);
});

test("where locks are denied, each tab has its own socket", async () => {
  const reported = vi.fn();
  vi.stubGlobal("reportError", reported);
  const deny = async (): Promise<never> => {
    throw new DOMException("Access to the Locks API is denied in this context.", "SecurityError");
  };
  vi.stubGlobal("navigator", { onLine: true, locks: { query: deny, request: deny } });
  const tabs = await openTabs("worker", 2);
  expect(tabs.map(({ state }) => [state.status, state.transport])).toEqual(Array(2).fill(["online", "websocket"]));
  expect(reported).not.toHaveBeenCalled();
});

test("a tab that signs out before it has the code of the shared socket stays signed out", async () => {
  const { transport: _, ...options } = site.server.options;
  const tab = site.open({ ...options, share: true, user: 1, worker: "/worker.js" });
  tab.connect();
  tab.signOut();
  expect(tab.state).toMatchObject({ status: "signedOut", reason: "SIGNED_OUT" });
  await settle();
  await settle();
  expect([tab.state.status, site.server.attempts.length]).toEqual(["signedOut", 0]);
});

/** A host with its server's side, and what tabs get. */
function makeHost() {
  const received: any[] = [];
  const heard: Record<string, any[]> = { a: [], b: [] };
  const ended: string[] = [];
  let server = {} as TransportEvents;
  let opened = 0;
  const open = (_: unknown, events: TransportEvents) => {
    server = events;
    opened++;
    return { send: (text: string) => void received.push(JSON.parse(text)), close() {} };
  };
  const host = new Host({ name: "fake", open });
  const hear = (tab: string, message: object): void =>
    host.hear({ to: "host", tab, ...message }, ({ text, code }) => {
      if (text) heard[tab]!.push(JSON.parse(text));
      else if (code !== undefined) ended.push(tab);
    });
  return {
    received,
    heard,
    ended,
    get opened() {
      return opened;
    },
    connect: (tab: string): void => hear(tab, { request: { url: "", protocols: [] } }),
    send: (tab: string, command: object): void => hear(tab, { text: JSON.stringify(command) }),
    frame: (frame: object): void => server.message(JSON.stringify(frame)),
  };
}

test("two tabs that resume one stream from different positions both get what they have missed", () => {
  const host = makeHost();
  for (const tab of ["a", "b"]) host.connect(tab);
  host.frame({ type: "connected", data: { streams: {} } });
  const resume = (seq: number) => ({ type: "resume", streams: { "room.general": seq }, id: "resume" });
  host.send("a", resume(3));
  host.send("b", resume(5));
  for (const seen of [3, 5]) {
    for (let seq = seen + 1; seq <= 7; seq++) host.frame({ type: "chat", stream: "room.general", seq });
    const streams = { "room.general": { recovered: true, seq: seen } };
    host.frame({ type: "resumed", streams, id: "resume" });
  }
  const seqs = (tab: string): number[] => host.heard[tab]!.flatMap(({ seq }) => seq ?? []);
  expect(seqs("a")).toEqual([4, 5, 6, 7]);
  expect(seqs("b").filter((seq) => seq > 5)).toEqual([6, 7]);
});

test("a tab that comes after a resume was refused for now knows the positions of its user's streams", () => {
  const host = makeHost();
  host.connect("a");
  host.frame({ type: "connected", data: { streams: { "user.1": 7, site: 2 } } });
  host.send("a", { type: "resume", streams: { "user.1": 5, "room.general": 3 }, id: "resume" });
  host.frame({ type: "error", error_code: "UNAVAILABLE", id: "resume" });
  host.connect("b");
  expect(host.heard["b"]![0].data.streams).toEqual({ "user.1": 7, site: 2 });
  host.send("a", { type: "resume", streams: { "user.1": 5, "room.general": 3 }, id: "resume" });
  expect(host.received.at(-1)).toMatchObject({ type: "resume", streams: { "user.1": 5, "room.general": 3 } });
});

test("a socket that has died in silence is replaced, though a tab whose timers are slowed still holds it", () => {
  const host = makeHost();
  for (const tab of ["a", "b"]) host.connect(tab);
  host.frame({ type: "connected", data: { streams: {}, heartbeat_seconds: 30 } });
  vi.advanceTimersByTime(30_000);
  host.frame({ type: "heartbeat" });
  vi.advanceTimersByTime(59_999);
  expect(host.ended).toEqual([]);
  vi.advanceTimersByTime(1); // two heartbeats did not come
  expect(host.ended).toEqual(["a", "b"]);
  host.connect("a");
  expect(host.opened).toBe(2);
});

test("after the server's goodbye, a tab gets another socket, though the old one has not closed yet", () => {
  const host = makeHost();
  for (const tab of ["a", "b"]) host.connect(tab);
  host.frame({ type: "connected", data: { streams: {} } });
  host.frame({ type: "disconnect", code: 1012, reason: "RESTARTING", reconnect: true });
  expect(host.heard["b"]!.at(-1)).toMatchObject({ type: "disconnect" });
  host.connect("a");
  expect(host.opened).toBe(2);
});
