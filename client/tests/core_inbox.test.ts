/** The inbox: what an act shows at once, what the server makes of it, and what other devices have done. */

import { beforeEach, describe, expect, test, vi } from "vitest";

import type { InboxFilter, Notifications } from "../src/index.js";
import { now } from "../src/testing/time.js";
import { Refusal, settle } from "../src/testing.js";
import { codeOf, connect, pass, type Site, until, useSite } from "./core_site.js";

const site: Site = useSite();
let inbox: Notifications;
let ids: number[];

beforeEach(async () => {
  ids = [1, 2, 3].map((count) => site.server.notify({ title: `n${count}` }).id).reverse();
  inbox = site.client.notifications;
  inbox.open();
  await connect(site.client);
});

function titles(): string[] {
  return inbox.items.map(({ title }) => title);
}

function acts(): string[] {
  return site.server.requests.filter(({ path }) => path === "/notifications/acts").map(({ body }) => body.act);
}

function refuse(code = "RATE_LIMITED", status = 429): void {
  site.server.routes.push(({ method, path }) => {
    if (method === "POST" && path.startsWith("/notifications")) throw new Refusal(status, code);
    return undefined;
  });
}

/** Let requests of one method wait: a POST on its way to the server, the answer of a GET on its way back. */
function holdBack(held: "GET" | "POST"): () => void {
  let release!: () => void;
  const released = new Promise<void>((resolve) => (release = resolve));
  vi.stubGlobal("fetch", async (input: RequestInfo | URL, init?: RequestInit) => {
    if (held === "POST" && init?.method === held) await released;
    const answer = await site.server.fetch(input, init);
    if (held === "GET" && init?.method === held) await released;
    return answer;
  });
  return release;
}

test("frames of the site with names like these are not taken for counts", async () => {
  const requests = site.server.requests.length;
  for (const type of ["notice", "notify", "inboxes", "notification_sound", "notifications_enabled"]) site.server.broadcast({ type, isOfSite: true, data: {} });
  await settle();
  expect(inbox.counts).toEqual({ unread: 3, unseen: 3 });
  expect(site.server.requests.length).toBe(requests);
});

describe("the list", () => {
  test("is loaded, newest first, with its counts", () => {
    expect(titles()).toEqual(["n3", "n2", "n1"]);
    expect(inbox.counts).toEqual({ unread: 3, unseen: 3 });
    expect(inbox.getSnapshot()).toMatchObject({ loading: false, hasMore: false, error: null });
  });

  test("grows with what arrives, and tells it", async () => {
    const told: string[] = [];
    inbox.on("notification", ({ title }) => told.push(title));
    site.server.notify({ title: "n4" });
    await settle();
    expect(titles()).toEqual(["n4", "n3", "n2", "n1"]);
    expect(inbox.counts).toEqual({ unread: 4, unseen: 4 });
    expect(told).toEqual(["n4"]);
  });

  test("a group that has grown moves to the top, and is counted once", async () => {
    const old = inbox.items[2]!;
    await pass(1);
    const group = { count: 2, last: [] };
    const grown = { ...old, title: "n1, grown", seen_at: null, group, arrived_at: now() };
    site.server.publish("user.1", { type: "notification", notification_type: "x", data: grown, timestamp: grown.arrived_at });
    await settle();
    expect(titles()).toEqual(["n1, grown", "n3", "n2"]);
    expect(inbox.counts).toEqual({ unread: 3, unseen: 3 });
  });

  test("one that a frame has counted already is not counted again, nor is one left out that it could not", async () => {
    const [read] = ids;
    const late = site.server.inbox.add({ title: "late", arrived_at: now() });
    site.server.inbox.act("read", [read!], {});
    expect(site.server.inbox.counts.unread).toBe(3);
    site.server.publish("user.1", {
      ...{ type: "notification", notification_type: late.type, data: late, timestamp: late.arrived_at },
    });
    await settle();
    expect(inbox.counts).toEqual({ unread: 3, unseen: 3 });
    await pass(5_000);
    const asked = site.server.requests.length;
    site.server.notify({ title: "later" });
    await settle();
    expect(inbox.counts).toEqual({ unread: 4, unseen: 4 });
    expect(site.server.requests.length).toBe(asked);
  });

  test.each([
    ["notification", {}],
    ["group before it grew", { arrived_at: "2020-01-01T00:00:00.000000Z" }],
  ])("is loaded again if it was ahead of the frames: a %s that it has comes after older counts", async (_, older) => {
    const [ahead] = inbox.items;
    await pass(10_000);
    const data = { unread: 1, unseen: 1, act: "seen", notification_ids: [ids[2]!] };
    site.server.publish("user.1", { type: "inbox", data, timestamp: "2020-01-01T00:00:00.000000Z" });
    await settle();
    expect(inbox.counts).toEqual({ unread: 1, unseen: 1 });
    site.server.publish("user.1", { type: "notification", notification_type: "x", data: { ...ahead!, ...older }, timestamp: now() });
    await settle();
    expect(inbox.counts).toEqual({ unread: 3, unseen: 3 });
    expect(titles()).toEqual(["n3", "n2", "n1"]);
  });

  test("more of it", async () => {
    const first = { notifications: [...inbox.items], next: "place", counts: inbox.counts };
    const older = { ...inbox.items[2]!, id: 900, title: "older" };
    const second = { notifications: [older], next: null, counts: inbox.counts };
    site.server.routes.push(({ path, query }) =>
      path === "/notifications" ? (query.get("before") === "place" ? second : first) : undefined,
    );
    await inbox.reload();
    expect(inbox.getSnapshot().hasMore).toBe(true);
    await inbox.loadMore();
    expect(titles()).toEqual(["n3", "n2", "n1", "older"]);
    expect(inbox.getSnapshot().hasMore).toBe(false);
  });

  test("has what arrives while it is loaded again, though more of it has come meanwhile", async () => {
    const answers: Record<string, () => void> = {};
    vi.stubGlobal("fetch", async (input: RequestInfo | URL, init?: RequestInit) => {
      const answer = await site.server.fetch(input, init);
      await new Promise<void>((resolve) => (answers[String(input).includes("before=") ? "more" : "again"] = resolve));
      return answer;
    });
    const page = { notifications: [...inbox.items], next: "place", counts: inbox.counts };
    site.server.routes.push(({ path }) => (path === "/notifications" ? page : undefined));
    const first = inbox.reload();
    await settle();
    answers["again"]!();
    await first;
    site.server.routes.pop();
    const [more, again] = [inbox.loadMore(), inbox.reload()];
    await settle();
    answers["more"]!();
    await more;
    site.server.notify({ title: "n4" });
    await settle();
    answers["again"]!();
    await settle();
    answers["again"]!();
    await again;
    expect(titles()).toEqual(["n4", "n3", "n2", "n1"]);
    expect(inbox.counts).toEqual({ unread: 4, unseen: 4 });
  });

  test.each([
    [70, 69],
    [260, 200],
  ])("of %d that were loaded has %d when it is loaded again", async (count, kept) => {
    const item = inbox.items[0]!;
    for (let id = 10; id < 10 + count; id++)
      site.server.inbox.add({ ...item, id, archived_at: now(), arrived_at: new Date(Date.now() + id).toISOString() });
    await inbox.show({ box: "archived" });
    while (inbox.hasMore) await inbox.loadMore();
    expect(inbox.items).toHaveLength(count);
    await inbox.unarchive(10);
    await settle();
    expect([inbox.items.length, inbox.hasMore]).toEqual([kept, kept === 200]);
    await inbox.show({});
    expect(site.server.requests.at(-1)!.query.get("limit")).toBe("50");
  });

  test("another box", async () => {
    await inbox.archive(ids[0]!);
    await inbox.show({ box: "archived" });
    expect(titles()).toEqual(["n3"]);
    await inbox.unarchive(ids[0]!);
    expect(titles()).toEqual([]);
    await inbox.show({});
    expect(titles()).toEqual(["n3", "n2", "n1"]);
  });

  test("what is snoozed in the archive leaves it", async () => {
    await inbox.archive(ids[0]!);
    await inbox.show({ box: "archived" });
    const snoozing = inbox.snooze(ids[0]!, new Date(Date.now() + 60_000));
    expect(titles()).toEqual([]);
    await snoozing;
    await settle();
    expect(titles()).toEqual([]);
    await inbox.show({ box: "snoozed" });
    expect(titles()).toEqual(["n3"]);
    await inbox.archive(ids[0]!);
    expect(titles()).toEqual([]);
    await inbox.show({ box: "archived" });
    expect(titles()).toEqual(["n3"]);
  });

  test("what does not fit the filter is told, and not shown", async () => {
    await inbox.show({ category: ["social", "work"] });
    const shown = titles();
    site.server.notify({ title: "other", category: "orders" });
    site.server.notify({ title: "work", category: "work" });
    await settle();
    expect(titles()).toEqual(["work", ...shown]);
  });

  test("is loaded again after a gap", async () => {
    site.server.drop();
    await settle();
    site.server.notify({ title: "n4" });
    site.server.log.forget("user.1");
    await pass(500);
    expect(titles()).toEqual(["n4", "n3", "n2", "n1"]);
    expect(inbox.counts.unread).toBe(4);
  });

  test("is not loaded again after a gap of another stream", async () => {
    site.client.room("general").join();
    await settle();
    const lists = (): number => site.server.requests.filter(({ path }) => path === "/notifications").length;
    const before = lists();
    const gaps = vi.fn();
    site.client.on("gap", gaps);
    const outcome = { recovered: false, seq: 0 };
    site.server.broadcast({ type: "resumed", streams: { "room.general": outcome, site: outcome } });
    await settle();
    expect(gaps).toHaveBeenCalledTimes(2);
    expect(lists()).toBe(before);
  });

  test("is loaded again by a socket that resumes nothing", async () => {
    site.client.close();
    site.server.notify({ title: "n4" });
    await connect(site.client);
    expect(titles()).toEqual(["n4", "n3", "n2", "n1"]);
  });

  test("is loaded once, by the first socket, or without one", async () => {
    const lists = (): number => site.server.requests.filter(({ path }) => path === "/notifications").length;
    expect(lists()).toBe(1);
    const client = site.open();
    client.notifications.open();
    await pass(2_000);
    expect(lists()).toBe(2);
    expect(client.notifications.items).toHaveLength(3);
  });

  test("has what arrives while one view takes the place of another", async () => {
    const client = site.open();
    const close = client.notifications.open();
    await connect(client);
    close();
    site.server.notify({ title: "n4" });
    await settle();
    client.notifications.open();
    await pass(5_000);
    expect(client.notifications.items.map(({ title }) => title)).toEqual(["n4", "n3", "n2", "n1"]);
    expect(client.notifications.counts).toEqual({ unread: 4, unseen: 4 });
  });

  test("of another user shows nothing of the first", async () => {
    site.client.signOut();
    expect(inbox.getSnapshot()).toMatchObject({ items: [], counts: { unread: 0, unseen: 0 } });
  });
});

describe("acts", () => {
  test.each([
    ["read", { unread: 2, unseen: 2 }, ["n3", "n2", "n1"]],
    ["seen", { unread: 3, unseen: 2 }, ["n3", "n2", "n1"]],
    ["archive", { unread: 2, unseen: 2 }, ["n2", "n1"]],
    ["snooze", { unread: 2, unseen: 2 }, ["n2", "n1"]],
    ["remove", { unread: 2, unseen: 2 }, ["n2", "n1"]],
  ] as const)("%s shows at once, stays, and is taken back if it is refused", async (act, counts, shown) => {
    const run = (): Promise<void> => inbox[act](ids[0]!, new Date("2025-10-23T10:00:00Z"));
    const before = inbox.getSnapshot();
    refuse();
    const refused = run();
    expect([inbox.counts, titles()]).toEqual([counts, shown]);
    expect(await codeOf(refused)).toBe("RATE_LIMITED");
    expect([inbox.counts, titles()]).toEqual([before.counts, ["n3", "n2", "n1"]]);
    expect(inbox.getSnapshot().error).toMatchObject({ code: "RATE_LIMITED" });

    site.server.routes.pop();
    await run();
    expect([inbox.counts, titles()]).toEqual([counts, shown]);
    await settle();
    expect([inbox.counts, titles()]).toEqual([counts, shown]);
  });

  test("two at a time: the one that is refused is taken back alone", async () => {
    site.server.routes.push(({ body }) => {
      if ((body as any)?.act === "archive") throw new Refusal(409, "CONFLICT");
      return undefined;
    });
    const both = [inbox.read(ids[1]!), inbox.archive(ids[0]!)];
    expect(titles()).toEqual(["n2", "n1"]);
    expect(inbox.counts.unread).toBe(1);
    expect(await Promise.all(both.map(codeOf))).toEqual(["", "CONFLICT"]);
    await settle();
    expect(titles()).toEqual(["n3", "n2", "n1"]);
    expect(inbox.counts.unread).toBe(2);
  });

  test("all, up to what is shown", async () => {
    await inbox.readAll();
    await settle();
    expect(inbox.counts).toEqual({ unread: 0, unseen: 0 });
    const request = site.server.requests.find(({ path }) => path === "/notifications/acts")!;
    expect(request.body).toMatchObject({ act: "read", filter: {}, up_to: `${inbox.items[0]!.arrived_at}_${ids[0]}` });
    await inbox.archiveAll();
    await settle();
    expect(titles()).toEqual([]);
  });

  test("undo, of the last one", async () => {
    expect(await inbox.undo()).toBe(false);
    await inbox.archive(ids);
    expect(titles()).toEqual([]);
    const undoing = inbox.undo();
    expect(titles()).toEqual(["n3", "n2", "n1"]);
    expect(await undoing).toBe(true);
    await settle();
    expect(titles()).toEqual(["n3", "n2", "n1"]);
    expect(inbox.counts.unread).toBe(3);
    expect(await inbox.undo()).toBe(false);
  });

  test("undo, before the act has its answer", async () => {
    const archiving = inbox.archive(ids[0]!);
    expect(await inbox.undo()).toBe(true);
    await archiving;
    expect(titles()).toEqual(["n3", "n2", "n1"]);
    expect(await inbox.undo()).toBe(false);
  });

  test.each<[string, (id: number) => Promise<void>, InboxFilter, string[]]>([
    ["read", (id) => inbox.read(id), { unread: true }, ["n2", "n1"]],
    ["archived", (id) => inbox.archive(id), { box: "archived" }, ["n3"]],
    ["removed", (id) => inbox.remove(id), {}, ["n2", "n1"]],
    ["acted on", (id) => inbox.act(id, "accept"), { box: "all" }, ["n3 accept", "n2", "n1"]],
  ])("a list that is asked for before one is %s contains that", async (_, act, filter, shown) => {
    const release = holdBack("POST");
    void act(ids[0]!);
    const shows = inbox.show(filter);
    await settle();
    release();
    await shows;
    expect(inbox.items.map(({ title, action }) => [title, action].join(" ").trim())).toEqual(shown);
  });

  test("a list that was on its way when an act was done is asked for again", async () => {
    site.server.drop();
    const release = holdBack("GET");
    const loads = inbox.reload();
    await settle();
    await inbox.remove(ids[0]!);
    release();
    await loads;
    expect(titles()).toEqual(["n2", "n1"]);
  });

  test("a list that waits for an act, which is refused, waits for one that is done meanwhile, too", async () => {
    site.server.drop();
    site.server.routes.push(({ body }) => {
      if ((body as any)?.ids?.[0] === ids[0]) throw new Refusal(409, "CONFLICT");
      return undefined;
    });
    const held: (() => void)[] = [];
    vi.stubGlobal("fetch", async (input: RequestInfo | URL, init?: RequestInit) => {
      if (init?.method === "POST") await new Promise<void>((resolve) => held.push(resolve));
      return site.server.fetch(input, init);
    });
    void inbox.archive(ids[0]!);
    const shows = inbox.show({ box: "archived" });
    void inbox.archive(ids[1]!);
    await settle();
    for (const release of held) {
      release();
      await settle();
    }
    await shows;
    expect(titles()).toEqual(["n2"]);
  });

  test("in the language of the page", async () => {
    vi.stubGlobal("document", { documentElement: { lang: "zh-hans" }, cookie: "" });
    await inbox.reload();
    vi.unstubAllGlobals();
    expect(site.server.requests.at(-1)!.headers.get("Accept-Language")).toBe("zh-hans");
  });

  test("acts reach the server in the order of the calls, and their answers are taken in it", async () => {
    const release = holdBack("POST");
    void inbox.read(ids[0]!);
    void inbox.unread(ids[0]!);
    void inbox.archive(ids[1]!);
    await settle();
    expect(inbox.counts.unread).toBe(2);
    expect(acts()).toEqual([]);
    release();
    await until(() => expect(acts()).toEqual(["read", "unread", "archive"]));
    await settle();
    expect(inbox.items.map(({ read_at }) => read_at)).toEqual([null, null]);
    expect(inbox.counts.unread).toBe(2);
  });

  test("an act that waits for another one is not sent when the user has gone", async () => {
    const release = holdBack("POST");
    void inbox.read(ids[0]!);
    const waiting = codeOf(inbox.read(ids[1]!));
    site.client.setUser(1);
    release();
    expect(await waiting).toBe("CLOSED");
    await settle();
    expect(acts()).toEqual([]);
  });

  test("what another device marks as unread appears among the unread", async () => {
    site.server.inbox.act("read", [ids[0]!], {});
    await inbox.show({ unread: true });
    expect(titles()).toEqual(["n2", "n1"]);
    site.server.inbox.act("unread", [ids[0]!], {});
    await until(() => expect(titles()).toEqual(["n3", "n2", "n1"]));
  });

  test("an undo that fails can be tried again", async () => {
    await inbox.archive(ids[0]!);
    site.server.isAway = true;
    expect(await codeOf(inbox.undo())).toBe("NETWORK");
    site.server.isAway = false;
    expect(await inbox.undo()).toBe(true);
    expect(titles()).toEqual(["n3", "n2", "n1"]);
  });

  test("what cannot be taken back is not taken for the act before it", async () => {
    await inbox.archive(ids[0]!);
    await inbox.read(ids[1]!);
    await inbox.undo();
    await inbox.archive(ids[0]!);
    await inbox.act(ids[1]!, "accept");
    expect(await inbox.undo()).toBe(false);
    expect(titles()).toEqual(["n2", "n1"]);
  });

  test("undo of a removal, and one that comes too late", async () => {
    await inbox.remove(ids[1]!);
    await inbox.undo();
    expect(titles()).toEqual(["n3", "n2", "n1"]);
    await inbox.archive(ids[0]!);
    refuse("INVALID_MESSAGE", 400);
    expect(await codeOf(inbox.undo())).toBe("INVALID_MESSAGE");
    expect(titles()).toEqual(["n2", "n1"]);
  });

  test("of another device", async () => {
    site.server.inbox.act("archive", [ids[0]!], {});
    await settle();
    expect(titles()).toEqual(["n2", "n1"]);
    site.server.inbox.act("unarchive", [ids[0]!], {});
    await settle();
    expect(titles()).toEqual(["n3", "n2", "n1"]);
    expect(inbox.counts).toEqual({ unread: 3, unseen: 3 });
  });

  test("what is withdrawn is gone", async () => {
    const data = { unread: 2, unseen: 2, notification_ids: [ids[0]] };
    site.server.publish("user.1", { type: "notification_removed", data, timestamp: now() });
    await settle();
    expect(titles()).toEqual(["n2", "n1"]);
    expect(inbox.counts).toEqual({ unread: 2, unseen: 2 });
  });

  test("whoever does not wait for an act need not catch its error", async () => {
    await inbox.read(ids[0]!);
    refuse();
    const rejected: unknown[] = [];
    const note = (reason: unknown): void => void rejected.push(reason);
    process.on("unhandledRejection", note);
    void inbox.undo();
    void inbox.archive(ids[0]!);
    void inbox.act(ids[0]!, "accept");
    void inbox.readAll();
    await settle();
    process.off("unhandledRejection", note);
    expect(rejected).toEqual([]);
    expect(inbox.getSnapshot().error).toMatchObject({ code: "RATE_LIMITED" });
    expect(titles()).toEqual(["n3", "n2", "n1"]);
  });

  test("a snooze until a date that is none is refused, and the inbox goes on", async () => {
    refuse("INVALID_MESSAGE", 400);
    expect(await codeOf(inbox.snooze(ids[0]!, new Date("")))).toBe("INVALID_MESSAGE");
    expect(titles()).toEqual(["n3", "n2", "n1"]);
    site.server.routes.pop();
    await inbox.archive(ids[0]!);
    expect(titles()).toEqual(["n2", "n1"]);
  });

  test("none of nothing", async () => {
    await inbox.read([]);
    expect(site.server.requests.filter(({ method }) => method === "POST")).toEqual([]);
  });
});
