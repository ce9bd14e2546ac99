// @vitest-environment happy-dom
/** The hooks for React, with the fake server. Effects run twice at first, as StrictMode has it. */

import { act, createElement, type FunctionComponent, StrictMode, useReducer, version } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { createRealtime, type Realtime } from "../src/index.js";
import * as hooks from "../src/react.js";
import { createFakeServer, type FakeServer, installFetch, Refusal, settle } from "../src/testing.js";

let server: FakeServer;
let client: Realtime;
let root: Root;
let uninstall: () => void;

beforeEach(() => {
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  vi.useFakeTimers();
  server = createFakeServer({ rooms: { general: { messages: ["Hello!"] }, team: {} } });
  uninstall = installFetch(server);
  client = createRealtime(server.options);
  root = createRoot(document.createElement("div"));
});

afterEach(async () => {
  await act(async () => root.unmount());
  client.close();
  uninstall();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Shows a component that uses a hook. Returns what the hook has given at each rendering. */
async function show<T>(use: () => T, props: Partial<hooks.ProviderProps> = {}): Promise<T[]> {
  const given: T[] = [];
  const Probe: FunctionComponent = () => {
    given.push(use());
    return null;
  };
  await render(createElement(Probe), props);
  return given;
}

async function render(child: React.ReactNode, props: Partial<hooks.ProviderProps> = {}): Promise<void> {
  const provider = createElement(hooks.RealtimeProvider, { client, ...props }, child);
  await happen(() => root.render(createElement(StrictMode, null, provider)));
}

async function happen(what: () => void): Promise<void> {
  await act(async () => {
    what();
    await settle();
  });
}

function sent(type: string): object[] {
  return server.received.filter((command) => command.type === type);
}

test.runIf(process.env["OLDEST"])("the oldest React is that of the package's peers", () => {
  expect(version).toMatch(/^18\.0\.0/);
});

describe("the connection", () => {
  test("is one socket under StrictMode, and ends a moment after the last provider", async () => {
    const states = await show(hooks.useConnection);
    expect(states.at(-1)!.status).toBe("online");
    expect(server.attempts).toHaveLength(1);
    await happen(() => root.render(null));
    await happen(() => vi.advanceTimersByTime(999));
    expect(server.sockets.size).toBe(1);
    await happen(() => vi.advanceTimersByTime(1));
    expect(server.sockets.size).toBe(0);
    expect(client.state.status).toBe("closed");
  });

  test("survives a provider that is replaced, as hot reload does", async () => {
    await show(hooks.useConnection);
    await happen(() => root.render(null));
    await show(hooks.useConnection);
    await happen(() => vi.advanceTimersByTime(5000));
    expect(server.attempts).toHaveLength(1);
    expect(server.sockets.size).toBe(1);
  });

  test("is not opened while it is not enabled", async () => {
    const states = await show(hooks.useConnection, { enabled: false });
    expect(states.at(-1)!.status).toBe("idle");
    expect(server.attempts).toHaveLength(0);
    await show(hooks.useConnection);
    expect(server.attempts).toHaveLength(1);
  });

  test("begins again after a new login, also when the old view has only just gone", async () => {
    await show(hooks.useConnection);
    server.user = null;
    await happen(() => server.goodbye(4401, { reason: "UNAUTHENTICATED" }));
    expect(client.state.status).toBe("signedOut");
    await show(hooks.useConnection, { enabled: false });
    server.user = 2;
    await show(hooks.useConnection);
    await happen(() => vi.advanceTimersByTime(5000));
    expect([client.state.status, client.user]).toEqual(["online", 2]);
  });

  test("of the site's own is neither opened nor closed", async () => {
    client.connect();
    await show(hooks.useConnection);
    await happen(() => root.render(null));
    await happen(() => vi.advanceTimersByTime(5000));
    expect(server.attempts).toHaveLength(1);
    expect(client.state.status).toBe("online");
  });

  test("needs a provider", () => {
    const Lost: FunctionComponent = () => (hooks.useRealtime(), null);
    const failure = vi.spyOn(console, "error").mockImplementation(() => {});
    expect(() => act(() => root.render(createElement(Lost)))).toThrow("RealtimeProvider");
    failure.mockRestore();
  });
});

describe("a room", () => {
  test("is joined once, however many hooks use it, and left a moment after the last", async () => {
    const use = (): object => [hooks.useRoom("general"), hooks.useMessages("general"), hooks.useTyping("general")];
    await show(use);
    expect(sent("join")).toHaveLength(1);
    await show(() => hooks.useMessages("general"));
    await happen(() => vi.advanceTimersByTime(5000));
    expect(sent("leave")).toHaveLength(0);
    await render(null);
    await happen(() => vi.advanceTimersByTime(999));
    expect(sent("leave")).toHaveLength(0);
    await happen(() => vi.advanceTimersByTime(1));
    expect(sent("leave")).toHaveLength(1);
  });

  test("shows its messages, and what is sent at once", async () => {
    const given = await show(() => hooks.useMessages("general"));
    expect(given.at(-1)!.messages.map(({ text }) => text)).toEqual(["Hello!"]);
    server.hold();
    await happen(() => void given.at(-1)!.send("Hi!"));
    expect(given.at(-1)!.messages.map(({ status }) => status)).toEqual(["stored", "sending"]);
    await happen(() => server.release());
    expect(given.at(-1)!.messages.map(({ status }) => status)).toEqual(["stored", "stored"]);
  });

  test("shows why it could not be loaded, until another try", async () => {
    let isBroken = true;
    server.routes.push(({ path }) => {
      if (isBroken && path.endsWith("/messages")) throw new Refusal(403, "FORBIDDEN");
      return undefined;
    });
    const views = await show(() => hooks.useMessages("general"));
    expect(views.at(-1)).toMatchObject({ messages: [], error: { code: "FORBIDDEN" } });
    isBroken = false;
    await happen(() => void views.at(-1)!.reload());
    expect(views.at(-1)).toMatchObject({ messages: [{ text: "Hello!" }], error: null });
  });

  test("does not render for what a component does not show", async () => {
    const given = await show(() => hooks.useMessages("general"));
    const before = given.length;
    await happen(() => {
      server.broadcast({ type: "typing", data: { user_id: 2, is_typing: true, context: "general" } });
    });
    expect(client.room("general").typingUsers).toEqual([2]);
    expect(given).toHaveLength(before);
  });

  test("shows who is typing", async () => {
    const given = await show(() => hooks.useTyping("general"));
    await happen(() => {
      server.broadcast({ type: "typing", data: { user_id: 2, is_typing: true, context: "general" } });
      given.at(-1)!.typing();
    });
    expect(given.at(-1)!.typingUsers).toEqual([2]);
    expect(sent("typing")).toMatchObject([{ data: { is_typing: true, context: "general" } }]);
  });

  test("changes with its id, and waits until it is enabled", async () => {
    await show(() => hooks.useRoom("general", { enabled: false }));
    expect(sent("join")).toHaveLength(0);
    await show(() => hooks.useRoom("team"));
    const given = await show(() => hooks.useRoom("general"));
    expect(sent("join")).toMatchObject([{ room_id: "team" }, { room_id: "general" }]);
    expect(given.at(-1)!.room.id).toBe("general");
  });
});

test.each([undefined, null, ""])("nothing is opened for %j, as of a route that is not known yet", async (none) => {
  const use = (id: typeof none | string) => [hooks.useRoom(id), hooks.useMessages(id), hooks.useTyping(id), hooks.useTopic(id)];
  const given = await show(() => use(none));
  expect(given.at(-1)).toMatchObject([{ status: "idle" }, { messages: [] }, { typingUsers: [] }, undefined]);
  await show(() => use("general"));
  await show(() => use(none));
  await happen(() => vi.advanceTimersByTime(1000));
  expect([sent("join"), sent("leave")]).toMatchObject([[{ room_id: "general" }], [{ room_id: "general" }]]);
  expect([sent("subscribe"), sent("unsubscribe")]).toMatchObject([[{ topic: "general" }], [{ topic: "general" }]]);
});

test("what a hook gives is the same object until something in it has changed", async () => {
  let renderAgain!: () => void;
  const given = await show(() => {
    [, renderAgain] = useReducer((count: number) => count + 1, 0);
    return [hooks.useConnection(), hooks.useRoom("general"), hooks.usePresence(), hooks.useNotifications()];
  });
  const before = [...given.at(-1)!];
  const count = given.length;
  await happen(() => renderAgain());
  expect(given.length).toBeGreaterThan(count);
  for (const [index, one] of given.at(-1)!.entries()) expect(one).toBe(before[index]);
});

test("nobody is told of typing without a room", async () => {
  const given = await show(() => hooks.useTyping(undefined));
  await happen(() => given.at(-1)!.typing());
  expect(sent("typing")).toEqual([]);
});

test("the inbox is loaded once, and its count follows", async () => {
  server.notify({ title: "First" });
  const given = await show(() => [hooks.useNotifications(), hooks.useUnread()] as const);
  expect(given.at(-1)![0].items.map(({ title }) => title)).toEqual(["First"]);
  await happen(() => void server.notify({ title: "Second" }));
  expect(given.at(-1)![1]).toBe(2);
  await happen(() => void given.at(-1)![0].notifications.readAll());
  expect(given.at(-1)![1]).toBe(0);
});

test("nothing is loaded, watched or subscribed to while it is not enabled", async () => {
  const no = { enabled: false };
  const use = (): unknown => [hooks.useNotifications(no), hooks.useUnread(no), hooks.usePresence([2], no), hooks.useTopic("price", no)];
  await show(use);
  await happen(() => vi.advanceTimersByTime(5000));
  expect([server.requests, sent("subscribe")]).toEqual([[], []]);
});

test("presence has the count, and the status of those who are watched", async () => {
  server.statuses.set("2", "away");
  const given = await show(() => hooks.usePresence([2]));
  expect(given.at(-1)).toMatchObject({ onlineCount: 1, users: { 2: "away" } });
  await happen(() => server.setStatus(2, "offline"));
  expect(given.at(-1)!.users).toEqual({ 2: "offline" });
});

test("a topic that is refused says why", async () => {
  server.failNext("subscribe", "FORBIDDEN");
  const given = await show(() => [hooks.useTopic("price"), hooks.useRealtime().topic("price").error?.message]);
  expect(given.at(-1)).toEqual([undefined, "Refused: FORBIDDEN."]);
});

test("a topic has its last value", async () => {
  const given = await show(() => hooks.useTopic<number>("price"));
  expect(given.at(-1)).toBeUndefined();
  await happen(() => server.setTopic("price", 9));
  expect(given.at(-1)).toBe(9);
});
