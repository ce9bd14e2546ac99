/** The state machine: what each state becomes, what is shown of it, and how long pauses are. */

import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";

import { type CredentialSource, type Status, Unauthorized } from "../src/index.js";
import { settle } from "../src/testing.js";
import type { FakeSocket } from "../src/testing/socket.js";
import { connect, pass, sleep, type Site, useSite } from "./core_site.js";

const site = useSite();

/** How to come into each state. */
const ENTER: Record<Status, (site: Site) => Promise<void>> = {
  idle: async () => {},
  connecting: async ({ client }) => client.connect(),
  online: ({ client }) => connect(client),
  waiting: async ({ client, server }) => {
    server.isAway = true;
    await connect(client);
  },
  offline: async (site) => {
    vi.stubGlobal("navigator", { onLine: false });
    await ENTER.waiting(site);
    vi.unstubAllGlobals();
  },
  signedOut: async ({ client, server }) => {
    await connect(client);
    server.goodbye(4403, { reason: "KICKED" });
    await settle();
  },
  closed: async ({ client }) => {
    await connect(client);
    client.close();
  },
};

const ACTIONS: Record<string, (site: Site) => Promise<void>> = {
  connect: ({ client, server }) => {
    server.isAway = false;
    return connect(client);
  },
  close: async ({ client }) => client.close(),
  signOut: async ({ client }) => client.signOut(),
  drop: async ({ server }) => {
    server.isAway = true;
    server.drop();
    await pass(5_000);
  },
  kick: async ({ server }) => {
    server.goodbye(4403, { reason: "KICKED" });
    await settle();
  },
  "bad frames": async ({ server }) => {
    server.goodbye(4400, { reason: "TOO_MANY_ERRORS" });
    await settle();
  },
  "refusal of every credential": async ({ server }) => {
    Object.assign(server, { isAway: false, user: null });
    await pass(500);
    await pass(2_000); // a new credential, after a pause
  },
  "refusal for good": async ({ server }) => {
    const greet = (socket: FakeSocket): void => server.dismiss(socket, 4400, { reason: "TOO_MANY_ERRORS" });
    Object.assign(server, { isAway: false, greet });
    await pass(500);
  },
  "end of the login": async ({ server, tokens }) => {
    server.isAway = false;
    tokens.push = () => {
      throw new Unauthorized();
    };
    await pass(500);
  },
  "loss of the network": async ({ server }) => {
    vi.stubGlobal("navigator", { onLine: false });
    server.isAway = true;
    server.drop();
    await pass(5_000);
    vi.unstubAllGlobals();
  },
  "an attempt that fails": async ({ server }) => {
    server.isAway = true;
    await pass(500);
  },
  "the pause is over": async ({ server }) => {
    server.isAway = false;
    await pass(500);
  },
};

const TABLE: [Status, string, Status][] = [
  ["idle", "connect", "online"],
  ["idle", "close", "closed"],
  ["idle", "signOut", "idle"],
  ["connecting", "connect", "online"],
  ["connecting", "close", "closed"],
  ["connecting", "signOut", "signedOut"],
  ["connecting", "an attempt that fails", "waiting"],
  ["connecting", "loss of the network", "offline"],
  ["connecting", "refusal of every credential", "signedOut"],
  ["connecting", "refusal for good", "closed"],
  ["online", "connect", "online"],
  ["online", "close", "closed"],
  ["online", "signOut", "signedOut"],
  ["online", "drop", "waiting"],
  ["online", "loss of the network", "offline"],
  ["online", "kick", "signedOut"],
  ["online", "bad frames", "closed"],
  ["waiting", "connect", "online"],
  ["waiting", "close", "closed"],
  ["waiting", "signOut", "signedOut"],
  ["waiting", "the pause is over", "online"],
  ["waiting", "refusal of every credential", "signedOut"],
  ["waiting", "refusal for good", "closed"],
  ["waiting", "end of the login", "signedOut"],
  ["waiting", "loss of the network", "offline"],
  ["offline", "connect", "online"],
  ["offline", "close", "closed"],
  ["offline", "signOut", "signedOut"],
  ["offline", "the pause is over", "online"],
  ["offline", "an attempt that fails", "waiting"],
  ["offline", "refusal of every credential", "signedOut"],
  ["offline", "refusal for good", "closed"],
  ["offline", "end of the login", "signedOut"],
  ["signedOut", "connect", "online"],
  ["signedOut", "close", "closed"],
  ["signedOut", "the pause is over", "signedOut"],
  ["closed", "connect", "online"],
  ["closed", "close", "closed"],
  ["closed", "signOut", "closed"],
  ["closed", "the pause is over", "closed"],
];

test.each(TABLE)("%s, %s: %s", async (from, action, to) => {
  await ENTER[from](site);
  expect(site.client.state.status).toBe(from);
  await ACTIONS[action]!(site);
  expect(site.client.state.status).toBe(to);
  expect(site.server.sockets.size).toBe(to === "online" ? 1 : 0);
});

/** The codes with which the server closes sockets, as the AsyncAPI document has them. Only the client says 1000. */
const CODES: { code: number; reconnect: boolean }[] = JSON.parse(readFileSync("../docs/asyncapi.json", "utf8"))[
  "x-close-codes"
].filter(({ code }: { code: number }) => code > 1000);

/** The state that the end of a socket leads to, if there is no other credential. */
async function findVerdict(end: (code: number) => void, code: number): Promise<[Status, number]> {
  // `undefined` takes the place of the credential that the site gives.
  const client = site.open({ credential: undefined as unknown as CredentialSource });
  await connect(client);
  end(code);
  await pass(60_000);
  return [client.state.status, site.server.attempts.length];
}

describe("the verdict of a close code", () => {
  const outcome = (code: number, reconnect: boolean): [Status, number] =>
    reconnect ? ["online", 2] : [code === 4401 || code === 4403 ? "signedOut" : "closed", 1];

  test.each(CODES)("$code, in the server's last frame", async ({ code, reconnect }) => {
    expect(await findVerdict((ending) => site.server.goodbye(ending), code)).toEqual(outcome(code, reconnect));
  });

  test.each(CODES)("$code, of a socket without a last frame", async ({ code, reconnect }) => {
    expect(await findVerdict((ending) => site.server.drop(ending), code)).toEqual(outcome(code, reconnect));
  });

  test.each([[1011, false], [4400, true]])("%d, if `reconnect` in the last frame says %s", async (code, reconnect) => {
    const end = (ending: number): void => site.server.goodbye(ending, { reconnect });
    expect(await findVerdict(end, code)).toEqual(outcome(code, reconnect));
  });
});

describe("what is shown", () => {
  test("a short loss is not", async () => {
    await connect(site.client);
    site.server.isAway = true;
    site.server.drop();
    await pass(3_499);
    expect(site.client.state.status).toBe("online");
    site.server.isAway = false;
    await pass(60_000);
    expect(site.states.map(({ status }) => status)).not.toContain("waiting");
    expect(site.server.attempts.length).toBe(4);
  });

  test("a longer one is, with the reason and the next attempt", async () => {
    await connect(site.client);
    site.server.isAway = true;
    site.server.drop(1006);
    await pass(5_000);
    const { status, retryAt } = site.client.state;
    expect(site.client.state).toMatchObject({ reason: "NETWORK", code: 1006, transport: "fake" });
    expect(["waiting", "connecting"]).toContain(status);
    expect(retryAt).toBeGreaterThan(Date.now());
  });

  test("the end of the login is at once, with its code", async () => {
    await connect(site.client);
    site.server.goodbye(4403, { reason: "USER_DISABLED" });
    await settle();
    expect(site.client.state).toEqual({
      ...{ status: "signedOut", reason: "USER_DISABLED", code: 4403 },
      ...{ retryAt: null, transport: "fake" },
    });
  });

  test("nothing more to a page that closes the connection when it is online", async () => {
    site.client.onState(({ status }) => status === "online" && site.client.close());
    await connect(site.client);
    expect(site.client.state.status).toBe("closed");
    expect(site.client.user).toBeUndefined();
    expect(site.server.requests).toEqual([]);
  });

  test("nothing more to a page that closes the client when it hears whose the connection is", async () => {
    const { client } = site;
    client.on("user", () => client.close());
    client.notifications.open();
    client.presence.watch([2]);
    await connect(client);
    await pass(60_000);
    expect(client.state.status).toBe("closed");
    expect(site.server.requests).toEqual([]);
  });

  test("the same object until something has changed", async () => {
    await connect(site.client);
    const before = site.client.getSnapshot();
    site.server.heartbeat();
    await settle();
    expect(site.client.getSnapshot()).toBe(before);
  });
});

describe("pauses", () => {
  test.each([
    [0.001, [1, 2, 4]],
    [0.5, [500, 1_000, 2_000, 4_000, 5_000, 5_000]],
    [1, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]],
  ])("a random part, %f, of a time that doubles", async (part, pauses) => {
    vi.mocked(Math.random).mockReturnValue(part);
    site.server.isAway = true;
    await connect(site.client);
    for (const pause of pauses) {
      expect(site.client.state.retryAt).toBe(Date.now() + pause);
      await pass(pause);
    }
    expect(site.server.attempts).toHaveLength(pauses.length + 1);
  });

  test("a socket that has lived starts with a short one again, another one does not", async () => {
    site.server.isAway = true;
    await connect(site.client);
    await pass(500);
    site.server.isAway = false;
    await pass(1_000);
    site.server.drop();
    await settle();
    await pass(1_999);
    expect(site.server.sockets.size).toBe(0);
    await pass(1);
    await pass(10_000);
    site.server.drop();
    await settle();
    await pass(500);
    expect(site.server.sockets.size).toBe(1);
  });

  test("a clock that is set back does not prolong them", async () => {
    site.server.isAway = true;
    await connect(site.client);
    site.server.isAway = false;
    sleep(-3_600_000);
    await pass(500);
    expect(site.client.state.status).toBe("online");
  });

  test("a socket that says nothing at first is given up", async () => {
    const sockets: string[] = [];
    const open = ({ url }: { url: string }): { send(): void; close(): void } => {
      sockets.push(url);
      return { send() {}, close() {} };
    };
    const client = site.open({ transport: { name: "mute", open } });
    await connect(client);
    await pass(14_999);
    expect([client.state.status, sockets.length]).toEqual(["connecting", 1]);
    await pass(1);
    expect(client.state).toMatchObject({ status: "waiting", reason: "TIMEOUT", retryAt: Date.now() + 500 });
    await pass(500);
    expect(sockets).toHaveLength(2);
  });
});

test("heartbeats are answered", async () => {
  await connect(site.client);
  site.server.heartbeat();
  await settle();
  expect(site.server.received).toEqual([{ type: "pong" }]);
});

test("the socket of another user than the page's is refused", async () => {
  const client = site.open({ user: "7" });
  const heard: string[] = [];
  client.on("*", ({ type }) => heard.push(type));
  await connect(client);
  expect(heard).toEqual([]);
  expect(client.state).toMatchObject({ status: "signedOut", reason: "USER_CHANGED" });
  expect(client.user).toBeUndefined();
});

test.each([true, false])("a page may close the connection when it hears of an attempt (share: %s)", async (share) => {
  const client = site.open({ share });
  client.onState(({ status }) => status === "connecting" && client.close());
  await connect(client);
  await pass(60_000);
  expect(client.state.status).toBe("closed");
  expect(site.server.sockets.size).toBe(0);
});

test("a credential callback may sign out", async () => {
  const client = site.open({ credential: () => void client.signOut() as never });
  await connect(client);
  await pass(60_000);
  expect(client.state.status).toBe("signedOut");
  expect(site.server.sockets.size).toBe(0);
});

test("nothing happens before connect", async () => {
  await pass(60_000);
  expect(site.server.attempts).toEqual([]);
  expect(site.tokens).toEqual([]);
});
