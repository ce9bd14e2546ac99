/** Answers that come after the user has changed or the client was closed: nobody sees them, and nothing waits for them. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Refusal, settle } from "../src/testing.js";
import { codeOf, connect, pass, sent, useSite } from "./core_site.js";

const site = useSite();
let held: (() => void)[] | null;

/** While requests are held, their answers wait; and they come although the client has ended the request. */
beforeEach(() => {
  held = null;
  const fetch = vi.fn((input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const { signal: _, ...others } = init ?? {};
    if (!held) return site.server.fetch(input, others);
    return new Promise((resolve) => held!.push(() => resolve(site.server.fetch(input, others))));
  });
  vi.stubGlobal("fetch", fetch);
});

afterEach(() => void vi.unstubAllGlobals());

async function release(): Promise<void> {
  const late = held ?? [];
  held = null;
  expect(late.length).toBeGreaterThan(0);
  for (const run of late) run();
  await settle();
}

/** The first user goes. */
async function changeUser(): Promise<void> {
  site.client.signOut();
  await settle();
}

describe("after a change of user", () => {
  test("lists of a room, of the inbox and of presence stay empty", async () => {
    site.server.notify({ title: "of the first" });
    site.server.statuses.set("2", "away");
    const { client } = site;
    await connect(client);
    held = [];
    client.room("general").join();
    client.notifications.open();
    client.presence.watch([2]);
    await pass(0);
    expect(held).toHaveLength(4);
    await changeUser();
    await release();
    expect(client.room("general").messages).toEqual([]);
    expect(client.notifications.getSnapshot()).toMatchObject({ items: [], counts: { unread: 0, unseen: 0 } });
    expect(client.presence.getSnapshot()).toEqual({ onlineCount: null, users: {} });
  });

  test("an older page of the first user is not added to the list of the second", async () => {
    for (let count = 0; count < 60; count++) site.server.chat("general", `more ${count}`);
    const room = site.client.room("general");
    room.join();
    await connect(site.client);
    held = [];
    void room.loadOlder();
    await settle();
    const late = held;
    held = null;
    await changeUser();
    site.server.user = 7;
    await connect(site.client);
    expect(room.messages).toHaveLength(50);
    held = late;
    await release();
    expect(room.messages).toHaveLength(50);
    expect(room.getSnapshot()).toMatchObject({ loading: false, error: null, hasOlder: true });
  });

  test("more of the inbox is not added to it", async () => {
    const { notifications } = site.client;
    const item = site.server.notify({ title: "of the first" });
    const page = { notifications: [item], next: "place", counts: { unread: 1, unseen: 1 } };
    site.server.routes.push(({ path }) => (path === "/notifications" ? page : undefined));
    notifications.open();
    await connect(site.client);
    held = [];
    void notifications.loadMore();
    await settle();
    const late = held;
    held = null;
    await changeUser();
    page.notifications = [{ ...item, id: 7, title: "of the second" }];
    site.server.user = 7;
    await connect(site.client);
    page.notifications = [item];
    held = late;
    await release();
    expect(notifications.items.map(({ title }) => title)).toEqual(["of the second"]);
  });

  test.each(["accepted", "refused"])("an act that is %s late changes and shows nothing", async (answer) => {
    const { notifications } = site.client;
    const { id } = site.server.notify({ title: "of the first" });
    notifications.open();
    await connect(site.client);
    if (answer === "refused")
      site.server.routes.push(({ method }) => {
        if (method === "POST") throw new Refusal(409, "CONFLICT");
        return undefined;
      });
    held = [];
    void notifications.read(id);
    await changeUser();
    await release();
    expect(notifications.getSnapshot()).toMatchObject({ items: [], counts: { unread: 0, unseen: 0 }, error: null });
    expect(await notifications.undo()).toBe(false);
  });

  test("the own status is not set for the next user", async () => {
    await connect(site.client);
    await site.client.presence.setStatus("away");
    await changeUser();
    site.server.user = 7;
    await connect(site.client);
    expect(sent(site.server, "presence")).toHaveLength(1);
  });

  test("requests ask for a token of the next user", async () => {
    await connect(site.client);
    await changeUser();
    await site.client.rest("GET", "/rooms/general");
    expect(site.tokens).toEqual(["token-1", "token-2"]);
    expect(site.server.requests.at(-1)!.headers.get("Authorization")).toBe("Bearer token-2");
  });
});

describe("requests", () => {
  test.each([
    [() => "abc", "omit"],
    [() => null, "include"],
  ])("carry cookies only without a token", async (credential, mode) => {
    const client = site.open({ credential });
    await client.rest("GET", "/rooms/general");
    expect(vi.mocked(fetch).mock.lastCall![1]!.credentials).toBe(mode);
  });

  // A proxy that limits requests does not know the codes of the API.
  test.each([
    ["RATE_LIMITED", '{"code": "RATE_LIMITED"}'],
    ["HTTP_429", "<h1>Later</h1>"],
  ])("are repeated when the server has said: %s", async (code, body) => {
    let refused = 0;
    const answer = (): Response => new Response(body, { status: 429, headers: { "Retry-After": "7" } });
    vi.mocked(fetch).mockImplementation(async (...request) =>
      String(request[0]).includes("/rooms/") && !refused++ ? answer() : site.server.fetch(...request),
    );
    const room = site.client.room("general");
    room.join();
    await connect(site.client);
    expect(room.error).toMatchObject({ code, retryAfterMs: 7_000 });
    await pass(6_999);
    expect(room.messages).toHaveLength(0);
    await pass(1);
    expect(room.messages).toHaveLength(3);
  });

  test("end when the client is closed, and an act is taken back", async () => {
    const { notifications } = site.client;
    const { id } = site.server.notify({ title: "first" });
    notifications.open();
    await connect(site.client);
    vi.mocked(fetch).mockImplementation(
      (_, init) => new Promise((_, reject) => (init!.signal!.onabort = () => reject(init!.signal!.reason))),
    );
    const codes = Promise.all([notifications.archive(id), site.client.rest("GET", "/rooms")].map(codeOf));
    await settle();
    expect(notifications.items).toHaveLength(0);
    site.client.close();
    expect(await codes).toEqual(["CLOSED", "CLOSED"]);
    expect(notifications.items).toHaveLength(1);
  });

  test.each(["the page", "the server", "a sign-out"])("of lists that have failed are not repeated after %s has ended all", async (who) => {
    site.server.routes.push(() => {
      throw new Refusal(503, "UNAVAILABLE");
    });
    const { client } = site;
    client.room("general").join();
    client.notifications.open();
    client.presence.watch([2]);
    await connect(client);
    site.server.broadcast({ type: "online_count", data: { online_count: 60 } });
    await settle();
    if (who === "the page") client.close();
    else if (who === "the server") site.server.goodbye(4400, { reason: "TOO_MANY_ERRORS" });
    else client.signOut();
    await settle();
    const before = site.server.requests.length;
    expect(before).toBeGreaterThan(2);
    await pass(60_000);
    expect(site.server.requests).toHaveLength(before);
    site.server.routes.pop();
    await connect(client);
    expect(client.room("general").getSnapshot()).toMatchObject({ status: "joined", error: null, loading: false });
    expect(client.room("general").messages).toHaveLength(3);
    expect(client.notifications.getSnapshot()).toMatchObject({ error: null, loading: false });
    expect(client.presence.status(2)).toBe("offline");
  });

  test("look up nothing for a status that was not set", async () => {
    const { client } = site;
    client.presence.watch([1]);
    await connect(client);
    site.server.hold();
    const setting = codeOf(client.presence.setStatus("away"));
    client.close();
    expect(await setting).toBe("CLOSED");
    const before = site.server.requests.length;
    await pass(60_000);
    expect(site.server.requests).toHaveLength(before);
  });

  const breakOff = (): Response =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('{"tit'));
          controller.error(new TypeError("terminated"));
        },
      }),
    );

  test.each([
    ["breaks off", breakOff],
    ["a proxy has cut short", (): Response => new Response('{"tit')],
  ])("fail as the network does if their answer %s, and lists are loaded again", async (_, answer) => {
    vi.mocked(fetch).mockImplementation(async () => answer());
    expect(await codeOf(site.client.rest("GET", "/rooms/general"))).toBe("NETWORK");
    const room = site.client.room("general");
    room.join();
    await connect(site.client);
    expect(room.error).toMatchObject({ code: "NETWORK" });
    vi.mocked(fetch).mockImplementation(site.server.fetch);
    await pass(500);
    expect(room.messages).toHaveLength(3);
  });

  test("whose answer is empty give null", async () => {
    vi.mocked(fetch).mockImplementation(async () => new Response(null, { status: 204 }));
    expect(await site.client.rest("DELETE", "/rooms/general")).toBeNull();
  });
});

test("a list that is let go of while it is loaded is not loading any more", async () => {
  vi.stubGlobal("fetch", () => new Promise(() => {}));
  const [room, { notifications }] = [site.client.room("general"), site.client];
  await connect(site.client);
  const leave = [room.join(), notifications.open()];
  await pass(0);
  expect([room.loading, notifications.loading]).toEqual([true, true]);
  leave.forEach((off) => off());
  await pass(1_000);
  expect([room.loading, notifications.loading]).toEqual([false, false]);
});

test("requests work in a browser that cannot combine signals", async () => {
  const { any } = AbortSignal;
  AbortSignal.any = undefined as never;
  const room = await site.client.rest("GET", "/rooms/general").finally(() => (AbortSignal.any = any));
  expect(room).toMatchObject({ id: "general" });
});
