// @vitest-environment happy-dom
/** The functions for Vue, with the fake server. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type App, createApp, createSSRApp, defineComponent, h, KeepAlive, nextTick, ref, version } from "vue";
import { renderToString } from "vue/server-renderer";

import { createRealtime, type Realtime } from "../src/index.js";
import { createFakeServer, type FakeServer, installFetch, Refusal, settle } from "../src/testing.js";
import * as hooks from "../src/vue.js";
// @ts-expect-error: it is made by a plugin of vitest.config.ts
import Chat from "example:Chat.vue";

let server: FakeServer;
let client: Realtime;
let app: App | undefined;
let uninstall: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  server = createFakeServer({ rooms: { general: { messages: ["Hello!"] }, team: {} } });
  uninstall = installFetch(server);
  client = createRealtime(server.options);
});

afterEach(() => {
  app?.unmount();
  app = undefined;
  client.close();
  uninstall();
  vi.useRealTimers();
});

/** Shows a component. Returns what its setup has given. */
async function show<T>(setup: () => T, props: { enabled?: boolean } = {}): Promise<T> {
  app?.unmount();
  let given!: T;
  const Probe = defineComponent(() => {
    given = setup();
    return () => null;
  });
  app = createApp(() => h(hooks.RealtimeProvider, { client, ...props }, () => h(Probe)));
  app.mount(document.createElement("div"));
  await settle();
  return given;
}

function sent(type: string): object[] {
  return server.received.filter((command) => command.type === type);
}

test.runIf(process.env["OLDEST"])("the oldest Vue is that of the package's peers", () => {
  expect(version).toBe("3.4.0");
});

test("the example follows the room that its page names", async () => {
  const room = ref("general");
  const place = document.createElement("div");
  app = createApp(() => h(hooks.RealtimeProvider, { client }, () => h(Chat, { room: room.value })));
  app.mount(place);
  await settle();
  expect(place.querySelector("li")!.textContent).toContain("Hello!");
  room.value = "team";
  await settle();
  expect(place.querySelector("li")).toBeNull();
  const text = place.querySelector("input")!;
  text.value = "Hi, team!";
  text.dispatchEvent(new Event("input"));
  place.querySelector("form")!.dispatchEvent(new Event("submit"));
  await settle();
  expect(sent("message")).toMatchObject([{ room_id: "team", message: "Hi, team!" }]);
});

describe("the connection", () => {
  test("is one socket for one page after the other, and ends a moment after the last", async () => {
    await show(hooks.useConnection);
    const { status } = await show(hooks.useConnection);
    expect(status.value).toBe("online");
    vi.advanceTimersByTime(5000);
    expect(server.attempts).toHaveLength(1);
    app!.unmount();
    app = undefined;
    vi.advanceTimersByTime(999);
    await settle();
    expect(server.sockets.size).toBe(1);
    vi.advanceTimersByTime(1);
    await settle();
    expect(server.sockets.size).toBe(0);
  });

  test("is not opened while it is not enabled", async () => {
    const { status } = await show(hooks.useConnection, { enabled: false });
    expect([status.value, server.attempts.length]).toEqual(["idle", 0]);
  });

  test("needs a provider", () => {
    const warning = vi.spyOn(console, "warn").mockImplementation(() => {});
    const lost = createApp({ setup: () => hooks.useRealtime(), render: () => null });
    expect(() => lost.mount(document.createElement("div"))).toThrow("RealtimeProvider");
    warning.mockRestore();
  });
});

describe("a room", () => {
  test("shows its messages, what is sent, and who is typing, and is joined once", async () => {
    const { messages, send, typingUsers, title } = await show(() => ({
      ...hooks.useRoom("general"),
      ...hooks.useMessages("general"),
      ...hooks.useTyping("general"),
    }));
    expect(title.value).toBe("general");
    expect(messages.value.map(({ text }) => text)).toEqual(["Hello!"]);
    void send("Hi!");
    expect(messages.value.map(({ status }) => status)).toEqual(["stored", "sending"]);
    server.broadcast({ type: "typing", data: { user_id: 2, is_typing: true, context: "general" } });
    await settle();
    expect(messages.value.map(({ status }) => status)).toEqual(["stored", "stored"]);
    expect(typingUsers.value).toEqual([2]);
    expect(sent("join")).toHaveLength(1);
  });

  test("shows why it could not be loaded, until another try", async () => {
    let isBroken = true;
    server.routes.push(({ path }) => {
      if (isBroken && path.endsWith("/messages")) throw new Refusal(403, "FORBIDDEN");
      return undefined;
    });
    const { messages, error, reload } = await show(() => hooks.useMessages("general"));
    expect([messages.value.length, error.value]).toMatchObject([0, { code: "FORBIDDEN" }]);
    isBroken = false;
    await reload();
    expect([messages.value.length, error.value]).toEqual([1, null]);
  });

  test("changes with its id, and is left a moment later", async () => {
    const [id, enabled] = [ref("general"), ref(false)];
    const { room, messages } = await show(() => hooks.useRoom(id, { enabled }));
    expect(sent("join")).toHaveLength(0);
    enabled.value = true;
    await nextTick();
    await settle();
    expect(messages.value).toHaveLength(1);
    id.value = "team";
    await nextTick();
    await settle();
    expect([room.value.id, messages.value.length]).toEqual(["team", 0]);
    vi.advanceTimersByTime(999);
    await settle();
    expect(sent("leave")).toHaveLength(0);
    vi.advanceTimersByTime(1);
    await settle();
    expect(sent("leave")).toMatchObject([{ room_id: "general" }]);
  });
});

test.each([undefined, null, ""])("nothing is opened for %j, as of a route that is not known yet", async (none) => {
  const id = ref<typeof none | string>(none);
  const [{ status }] = await show(() => [hooks.useRoom(id), hooks.useMessages(id), hooks.useTyping(id), hooks.useTopic(id)] as const);
  expect(status.value).toBe("idle");
  for (const now of ["general", none]) {
    id.value = now;
    await nextTick();
    await settle();
    expect(status.value).toBe(now ? "joined" : "idle");
  }
  vi.advanceTimersByTime(1000);
  await settle();
  expect([sent("join"), sent("leave")]).toMatchObject([[{ room_id: "general" }], [{ room_id: "general" }]]);
  expect([sent("subscribe"), sent("unsubscribe")]).toMatchObject([[{ topic: "general" }], [{ topic: "general" }]]);
});

test("nobody is told of typing without a room", async () => {
  const { typing } = await show(() => hooks.useTyping(undefined));
  typing();
  await settle();
  expect(sent("typing")).toEqual([]);
});

test("a page that is put aside leaves its room, and joins it again when it is shown", async () => {
  const isShown = ref(true);
  const Chat = defineComponent(() => (hooks.useRoom("general"), () => h("p")));
  const Other = defineComponent(() => () => h("i"));
  await show(() => null);
  app!.unmount();
  app = createApp(() =>
    h(hooks.RealtimeProvider, { client }, () => h(KeepAlive, () => h(isShown.value ? Chat : Other))),
  );
  app.mount(document.createElement("div"));
  await settle();
  isShown.value = false;
  await nextTick();
  vi.advanceTimersByTime(1000);
  await settle();
  expect([sent("join").length, sent("leave").length]).toEqual([1, 1]);
  isShown.value = true;
  await nextTick();
  await settle();
  expect(sent("join")).toHaveLength(2);
});

test("the inbox is loaded, and its count follows", async () => {
  server.notify({ title: "First" });
  const [{ items, notifications }, unread] = await show(() => [hooks.useNotifications(), hooks.useUnread()] as const);
  expect(items.value.map(({ title }) => title)).toEqual(["First"]);
  server.notify({ title: "Second" });
  await settle();
  expect(unread.value).toBe(2);
  await notifications.readAll();
  expect(unread.value).toBe(0);
});

test("presence watches those whom it is given", async () => {
  server.statuses.set("2", "away");
  const watched = ref<number[]>([]);
  const { onlineCount, users } = await show(() => hooks.usePresence(watched));
  expect(onlineCount.value).toBe(1);
  watched.value = [2];
  await nextTick();
  vi.advanceTimersByTime(0); // those whom views watch in one turn are asked for together
  await settle();
  expect(users.value[2]).toBe("away");
});

test("a topic that is refused says why", async () => {
  server.failNext("subscribe", "FORBIDDEN");
  const place = document.createElement("div");
  const Price = defineComponent(() => {
    const [price, topic] = [hooks.useTopic("price"), hooks.useRealtime().topic("price")];
    return () => h("p", `${price.value} ${topic.error?.message}`);
  });
  app = createApp(() => h(hooks.RealtimeProvider, { client }, () => h(Price)));
  app.mount(place);
  await settle();
  expect(place.textContent).toBe("undefined Refused: FORBIDDEN.");
});

test("a topic has its last value", async () => {
  const value = await show(() => hooks.useTopic<number>("price"));
  server.setTopic("price", 9);
  await settle();
  expect(value.value).toBe(9);
});

test("nothing is loaded or watched while it is not enabled", async () => {
  const enabled = ref(false);
  await show(() => [hooks.useNotifications({ enabled }), hooks.useUnread({ enabled }), hooks.usePresence([2], { enabled })]);
  vi.advanceTimersByTime(5000);
  await settle();
  expect(server.requests).toEqual([]);
  enabled.value = true;
  await nextTick();
  vi.advanceTimersByTime(0);
  await settle();
  expect(server.requests.map(({ path }) => path).toSorted()).toEqual(["/notifications", "/status"]);
});

test("a topic is not subscribed while it is not enabled", async () => {
  const enabled = ref(false);
  await show(() => hooks.useTopic("price", { enabled }));
  expect(sent("subscribe")).toEqual([]);
  enabled.value = true;
  await nextTick();
  await settle();
  expect(sent("subscribe")).toMatchObject([{ topic: "price" }]);
});

test("a room may be kept in a reference", async () => {
  const [room, keeper] = [ref(client.room("general")), ref({ client })];
  room.value.join();
  keeper.value.client.connect();
  await settle();
  expect(room.value.messages.map(({ text }) => text)).toEqual(["Hello!"]);
  room.value.typing();
});

test("a page of the server is taken over as it is, whatever the client knows by then", async () => {
  const warning = vi.spyOn(console, "warn").mockImplementation(() => {});
  const error = vi.spyOn(console, "error").mockImplementation(() => {});
  const Page = defineComponent(() => {
    const { messages } = hooks.useMessages("general");
    const { status } = hooks.useConnection();
    return () => h("p", `${status.value} ${messages.value.length}`);
  });
  const make = (): App => createSSRApp(() => h(hooks.RealtimeProvider, { client }, () => h(Page)));
  const root = document.createElement("div");
  root.innerHTML = await renderToString(make());
  client.room("general").join();
  client.connect();
  await settle();
  app = make();
  app.mount(root);
  await settle();
  expect([root.textContent, warning.mock.calls, error.mock.calls]).toEqual(["online 1", [], []]);
  vi.restoreAllMocks();
});
