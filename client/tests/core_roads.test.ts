/** Every road to the network leads through one door: each time a credential of its own is asked for, and goes out. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { type CredentialSource, Unauthorized } from "../src/index.js";
import { Refusal, settle } from "../src/testing.js";
import { type FakePage, installPage, transition } from "./core_browser.js";
import { codeOf, connect, pass, sent, sleep, type Site, useSite } from "./core_site.js";

const site = useSite();
let page: FakePage;

beforeEach(() => {
  page = installPage();
});

afterEach(() => void vi.unstubAllGlobals());

function show(): void {
  page.document.hidden = false;
  page.document.dispatchEvent(new Event("visibilitychange"));
}

function tell(type: string, persisted = true): void {
  page.window.dispatchEvent(transition(type, persisted));
}

async function happen(action: () => void): Promise<void> {
  action();
  await settle();
}

/** The server says that the credential of the socket is about to expire. */
function expire({ server }: Site): void {
  server.broadcast({ type: "auth_expiring", data: { expires_at: "2025-10-22T10:01:00.000000Z", seconds: 60 } });
}

/** A road that begins with an open socket, and leads to the next one. `pauseMs` is how long that takes. */
interface Road {
  name: string;
  go(site: Site): Promise<void>;
}

const drop = ({ server }: Site): Promise<void> => happen(() => server.drop());

const ROADS: Road[] = [
  { name: "a drop", go: async (site) => void (await drop(site), await pass(500)) },
  {
    name: "a wait that the machine has slept through",
    async go(site) {
      await drop(site);
      sleep(3_600_000);
      await happen(() => show());
    },
  },
  { name: "the network is back", go: async (site) => void (await drop(site), await happen(() => tell("online"))) },
  { name: "the page is visible", go: async (site) => void (await drop(site), await happen(() => show())) },
  {
    name: "the page is shown again",
    async go({ server }) {
      await happen(() => tell("pagehide"));
      expect(server.sockets.size).toBe(0);
      await happen(() => tell("pageshow"));
    },
  },
  {
    name: "the page was frozen",
    async go({ server }) {
      await happen(() => page.document.dispatchEvent(new Event("freeze")));
      expect(server.sockets.size).toBe(0);
      await happen(() => page.document.dispatchEvent(new Event("resume")));
    },
  },
  {
    name: "the server restarts, and says when to come back",
    async go({ server }) {
      await happen(() => server.goodbye(1012, { reason: "RESTARTING", retryAfterMs: 7_000 }));
      await happen(() => tell("online"));
      await pass(6_999);
      expect(server.attempts).toHaveLength(1);
      await pass(1);
    },
  },
  {
    name: "the session has another cookie",
    go: async ({ server }) => {
      await happen(() => server.goodbye(4410, { reason: "SESSION_OUTDATED" }));
      await pass(500);
    },
  },
  {
    name: "the token has expired",
    go: ({ server }) => happen(() => server.goodbye(4401, { reason: "TOKEN_EXPIRED" })),
  },
  {
    name: "the server is silent",
    async go({ server }) {
      await pass(60_000); // two heartbeats did not come
      expect(server.sockets.size).toBe(0);
      await pass(500);
    },
  },
  {
    name: "a dead connection after sleep",
    async go({ server }) {
      server.hold();
      sleep(20_000);
      await happen(() => show());
      expect(sent(server, "ping")).toHaveLength(1);
      await pass(5_500);
    },
  },
  {
    name: "a dead connection when the browser says that there is no network",
    async go({ server }) {
      server.hold();
      await pass(2_000); // nothing was heard for a moment
      await happen(() => tell("offline"));
      await pass(5_500);
    },
  },
  {
    name: "a new token was refused on the open socket",
    async go(site) {
      site.server.failNext("auth", "FORBIDDEN");
      await happen(() => expire(site));
    },
  },
  {
    name: "a silence that the machine has slept through",
    async go({ server }) {
      sleep(60_000); // two heartbeats did not come
      await happen(() => show());
      expect(sent(server, "ping")).toEqual([]);
    },
  },
  {
    name: "a drop, and a resume that fails",
    async go(site) {
      site.server.failNext("resume", "UNAVAILABLE", { retry_after_ms: 3_000 });
      await drop(site);
      await pass(3_500);
      expect(sent(site.server, "resume")).toHaveLength(2);
    },
  },
  { name: "connect while it waits", go: async (site) => void (await drop(site), await connect(site.client)) },
  {
    name: "connect after close",
    async go({ client }) {
      client.close();
      await connect(client);
    },
  },
  {
    name: "connect after a sign-out",
    async go({ client }) {
      client.signOut();
      await connect(client);
    },
  },
  {
    name: "another user",
    async go({ client }) {
      client.setUser(1);
      await settle();
    },
  },
];

describe("each road", () => {
  test("the first one", async () => {
    await connect(site.client);
    expect(site.server.attempts).toEqual([{ kind: "token", value: "token-1" }]);
  });

  test.each(ROADS)("$name", async ({ go }) => {
    await connect(site.client);
    await go(site);
    expect(site.client.state.status).toBe("online");
    expect(site.server.sockets.size).toBe(1);
    expect(site.server.attempts).toHaveLength(2);
    expect(site.server.attempts[1]).toEqual({ kind: "token", value: site.tokens.at(-1) });
    expect(site.server.attempts[1]!.value).not.toBe("token-1");
  });

  test.each(["connect twice", "wake at once", "a page that is not kept"])("no road: %s", async (name) => {
    await connect(site.client);
    if (name === "connect twice") site.client.connect();
    if (name === "wake at once") tell("online");
    if (name === "a page that is not kept") tell("pagehide", false);
    await settle();
    expect(site.server.attempts).toHaveLength(1);
    expect(site.server.sockets.size).toBe(1);
  });
});

describe("credentials", () => {
  const open = (credential: CredentialSource): Promise<void> => connect(site.open({ credential }));

  test.each([
    { given: null, goes: { kind: "session", value: "" } },
    { given: "abc", goes: { kind: "token", value: "abc" } },
    { given: { ticket: "a b&c" }, goes: { kind: "ticket", value: "a b&c" } },
    { given: { ticket: "t", token: "abc" }, goes: { kind: "ticket", value: "t" } },
  ])("$given goes out as $goes.kind", async ({ given, goes }) => {
    await open(() => given);
    expect(site.server.attempts).toEqual([goes]);
  });

  test("without a callback, the cookie counts", async () => {
    const { credential: _, ...options } = { credential: 0, ...site.server.options };
    const client = site.open({ ...options, credential: undefined as unknown as CredentialSource });
    await connect(client);
    expect(site.server.attempts).toEqual([{ kind: "session", value: "" }]);
  });

  test("one call at a time, whoever asks", async () => {
    const answers: ((token: string) => void)[] = [];
    const client = site.open({ credential: () => new Promise((resolve) => answers.push(resolve)) });
    await connect(client);
    await happen(() => client.close());
    await connect(client);
    await happen(() => tell("online"));
    expect(answers.length).toBe(1);
    answers.forEach((answer) => answer("late"));
    await settle();
    expect(site.server.attempts).toEqual([{ kind: "token", value: "late" }]);
  });

  test("a callback that hangs is given up, and called again", async () => {
    const credential = vi.fn<CredentialSource>().mockReturnValueOnce(new Promise(() => {})).mockReturnValue("second");
    const client = site.open({ credential });
    await connect(client);
    await pass(10_000);
    expect(client.state).toMatchObject({ status: "waiting", reason: "CREDENTIAL" });
    await pass(500);
    expect(site.server.attempts).toEqual([{ kind: "token", value: "second" }]);
  });

  test("a callback that fails is called again after a pause", async () => {
    const reported = vi.fn();
    vi.stubGlobal("reportError", reported);
    const credential = vi.fn<CredentialSource>().mockRejectedValueOnce(new Error("503")).mockReturnValue("second");
    const client = site.open({ credential });
    await connect(client);
    expect(client.state).toMatchObject({ status: "waiting", reason: "CREDENTIAL" });
    expect(reported).toHaveBeenCalledOnce();
    await pass(500);
    expect(client.state.status).toBe("online");
  });

  test("Unauthorized signs out, and nothing more is asked", async () => {
    const credential = vi.fn<CredentialSource>().mockRejectedValue(new Unauthorized());
    const client = site.open({ credential });
    await connect(client);
    await pass(3_600_000);
    await happen(() => tell("online"));
    expect(client.state).toMatchObject({ status: "signedOut", reason: "UNAUTHORIZED", retryAt: null });
    expect(credential).toHaveBeenCalledOnce();
    expect(site.server.attempts).toEqual([]);
  });

  test("a new credential that is refused as well signs out", async () => {
    site.server.findUser = () => null;
    await connect(site.client);
    expect(site.server.attempts.map(({ value }) => value)).toEqual(["token-1", "token-2"]);
    expect(site.client.state).toMatchObject({ status: "signedOut", code: 4401 });
  });

  test("a credential that is refused after a failure is renewed after a pause", async () => {
    site.server.isAway = true;
    await connect(site.client);
    Object.assign(site.server, { isAway: false, user: null });
    await pass(500);
    expect(site.client.state).toMatchObject({ status: "waiting", code: 4401, retryAt: Date.now() + 2_000 });
    site.server.user = 1;
    await pass(1_999);
    expect(site.server.attempts).toHaveLength(2);
    await pass(1);
    expect([site.client.state.status, site.server.attempts.at(-1)!.value]).toEqual(["online", "token-3"]);
  });

  test("the token is renewed on the open socket", async () => {
    await connect(site.client);
    await happen(() => expire(site));
    expect(sent(site.server, "auth")).toMatchObject([{ token: "token-2" }]);
    expect(site.server.attempts).toHaveLength(1);
  });

  test.each([
    ["fails", (): Promise<never> => Promise.reject(new Error("503")), 10_000],
    ["hangs", (): Promise<never> => new Promise(() => {}), 20_000],
  ])("the token is renewed a moment later if the callback %s", async (_, fail, ms) => {
    vi.stubGlobal("reportError", vi.fn());
    const credential = vi.fn<CredentialSource>().mockReturnValueOnce("first").mockImplementationOnce(fail);
    await open(credential.mockReturnValue("second"));
    await happen(() => expire(site));
    await pass(ms - 1);
    expect(sent(site.server, "auth")).toEqual([]);
    await pass(1);
    expect(sent(site.server, "auth")).toMatchObject([{ token: "second" }]);
    expect(site.server.attempts).toHaveLength(1);
  });

  test.each(["UNAVAILABLE", "RATE_LIMITED"] as const)("a new token that is refused with %s keeps the socket, and is renewed a moment later", async (code) => {
    await connect(site.client);
    site.server.failNext("auth", code, { retry_after_ms: 3_000 });
    await happen(() => expire(site));
    await pass(2_999);
    expect(sent(site.server, "auth")).toMatchObject([{ token: "token-2" }]);
    await pass(1);
    expect(sent(site.server, "auth").slice(1)).toMatchObject([{ token: "token-3" }]);
    expect(site.server.attempts).toHaveLength(1);
  });

  test("a callback that hangs while a request asks is given up, and the room is loaded", async () => {
    const credential = vi.fn<CredentialSource>().mockReturnValueOnce("first");
    const client = site.open({ credential });
    await connect(client);
    site.server.routes.push(({ headers }) => {
      if (headers.get("Authorization") === "Bearer first") throw new Refusal(401, "TOKEN_EXPIRED");
      return undefined;
    });
    credential.mockReturnValueOnce(new Promise(() => {})).mockReturnValue("second");
    const room = client.room("general");
    room.join();
    await settle();
    expect([room.loading, room.error]).toEqual([true, null]);
    await pass(10_000);
    expect(room.getSnapshot()).toMatchObject({ loading: false, error: { code: "NETWORK" } });
    await pass(500);
    expect([room.messages.length, room.error]).toEqual([3, null]);
  });

  test("Unauthorized while a request asks signs out", async () => {
    const credential = vi.fn<CredentialSource>().mockReturnValueOnce("first").mockRejectedValue(new Unauthorized());
    const client = site.open({ credential });
    await connect(client);
    site.server.routes.push(() => {
      throw new Refusal(401, "TOKEN_EXPIRED");
    });
    expect(await codeOf(client.rest("GET", "/rooms/general"))).toBe("SIGNED_OUT");
    await pass(3_600_000);
    expect(client.state).toMatchObject({ status: "signedOut", reason: "UNAUTHORIZED" });
    expect([site.server.sockets.size, credential.mock.calls.length]).toEqual([0, 2]);
  });

  test.each(["was never connected", "is closed"])("Unauthorized while a request of a client asks that %s", async (how) => {
    const client = site.open({ credential: vi.fn<CredentialSource>().mockRejectedValue(new Unauthorized()) });
    if (how === "is closed") client.close();
    expect(await codeOf(client.rest("GET", "/rooms/general"))).toBe("SIGNED_OUT");
    expect(client.state).toMatchObject({ status: "signedOut", reason: "UNAUTHORIZED", code: 0, retryAt: null });
    expect(await codeOf(client.send({ type: "ping" }))).toBe("SIGNED_OUT");
    expect(site.server.requests).toEqual([]);
  });

  test("what a call gives after a sign-out is of the first user", async () => {
    const answers: ((token: string) => void)[] = [];
    const client = site.open({ credential: () => new Promise((resolve) => answers.push(resolve)) });
    await connect(client);
    client.signOut();
    await connect(client);
    answers[0]!("first");
    await settle();
    expect(site.server.attempts).toEqual([]);
    answers[1]!("second");
    await settle();
    expect(site.server.attempts).toEqual([{ kind: "token", value: "second" }]);
    await client.rest("GET", "/rooms/general");
    expect(site.server.requests.at(-1)!.headers.get("Authorization")).toBe("Bearer second");
  });

  test("a login that has ended before the socket signs out", async () => {
    const credential = vi.fn<CredentialSource>().mockReturnValueOnce("first").mockRejectedValue(new Unauthorized());
    const client = site.open({ credential });
    await connect(client);
    await happen(() => expire(site));
    expect(client.state).toMatchObject({ status: "signedOut", reason: "UNAUTHORIZED" });
    expect(site.server.sockets.size).toBe(0);
  });
});
