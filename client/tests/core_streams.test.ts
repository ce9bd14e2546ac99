/** Nothing is lost and nothing comes twice: events across reconnects, and commands without an answer. */

import { beforeEach, describe, expect, test, vi } from "vitest";

import type { FrameTypes, Gap, Transport } from "../src/index.js";
import { settle } from "../src/testing.js";
import { codeOf, connect, pass, sent, useSite } from "./core_site.js";

const site = useSite();

function listen(): string[] {
  const heard: string[] = [];
  site.client.on("chat", ({ data }: FrameTypes["chat"]) => heard.push(data.message));
  return heard;
}

/** The fake server's transport, with another limit in the greeting. */
function greetWith(most: number): Transport {
  const { transport } = site.server;
  const change = (text: string): string => text.replace(/("max_frame_bytes":)\d+/, `$1${most}`);
  return {
    ...transport,
    open: (request, { message, ...others }) =>
      transport.open(request, { message: (text) => message(change(text)), ...others }),
  };
}

/** A message that the fake server does not have in its log. */
function chat(seq: number, message: string, stream = "room.general"): { type: string } {
  const timestamp = "2025-10-22T10:00:00.000000Z";
  const sender = { from_user_id: 2, from_username: "bob" };
  const data = { ...sender, message, message_id: seq, kind: "text", timestamp };
  return Object.assign({ type: "chat" }, { stream, seq, data, timestamp });
}

async function comeBack(whileAway: () => void = () => {}): Promise<void> {
  site.server.drop();
  await settle();
  whileAway();
  await pass(500);
}

async function joinGeneral(): Promise<void> {
  await connect(site.client);
  await site.client.send({ type: "join", room_id: "general" });
}

describe("events", () => {
  test("what was missed follows, each once and in order", async () => {
    const heard = listen();
    await joinGeneral();
    site.server.chat("general", "four");
    await settle();
    await comeBack(() => ["five", "six"].forEach((text) => site.server.chat("general", text)));
    site.server.chat("general", "seven");
    await settle();
    expect(heard).toEqual(["four", "five", "six", "seven"]);
    expect(sent(site.server, "resume")).toMatchObject([{ streams: { "room.general": 4, site: 0, "user.1": 0 } }]);
  });

  test("an event that comes before its replay is taken from the replay", async () => {
    const heard = listen();
    await connect(site.client);
    const write = (message: string): unknown =>
      site.server.publish("user.1", chat(0, message, "user.1"));
    write("one");
    await settle();
    site.server.drop();
    await settle();
    write("two");
    site.server.hold();
    await pass(500);
    write("three"); // the new socket listens to its user from the start
    await settle();
    expect(heard).toEqual(["one"]);
    site.server.release();
    await settle();
    expect(heard).toEqual(["one", "two", "three"]);
  });

  test.each(["twice", "late"])("an event that comes %s is dropped", async () => {
    const heard = listen();
    await joinGeneral();
    const event = site.server.chat("general", "four");
    site.server.broadcast(event);
    await settle();
    expect(heard).toEqual(["four"]);
  });

  test("what cannot be replayed is a gap", async () => {
    const gaps: Gap[] = [];
    site.client.on("gap", (gap) => gaps.push(gap));
    await joinGeneral();
    await comeBack(() => {
      site.server.chat("general", "four");
      site.server.log.forget("room.general");
    });
    const fetch = "/api/v1/rooms/general/messages?after=3";
    expect(gaps).toEqual([{ type: "gap", stream: "room.general", seq: 4, fetch }]);
  });

  test("a resumed that nobody asked for is a gap as well, and new events follow", async () => {
    const heard = listen();
    const gaps: Gap[] = [];
    site.client.on("gap", (gap) => gaps.push(gap));
    await joinGeneral();
    site.server.broadcast({ type: "resumed", streams: { "room.general": { recovered: false, seq: 1 } } });
    site.server.broadcast(chat(2, "two again"));
    await settle();
    expect(gaps).toMatchObject([{ stream: "room.general", seq: 1, fetch: null }]);
    expect(heard).toEqual(["two again"]);
  });

  test("a hole is a gap", async () => {
    const gaps: Gap[] = [];
    site.client.on("gap", (gap) => gaps.push(gap));
    await joinGeneral();
    site.server.broadcast(chat(9, "nine"));
    await settle();
    expect(gaps).toMatchObject([{ stream: "room.general", seq: 9 }]);
  });

  test.each(["UNAVAILABLE", "RATE_LIMITED"] as const)("a resume refused with %s is sent again", async (code) => {
    const heard = listen();
    await joinGeneral();
    site.server.failNext("resume", code, { retry_after_ms: 3_000 });
    await comeBack(() => site.server.chat("general", "four"));
    expect(heard).toEqual([]);
    await pass(3_000);
    expect(heard).toEqual(["four"]);
  });

  describe("300 streams", () => {
    const parts = (): number[] => sent(site.server, "resume").map(({ streams }) => Object.keys(streams).length);

    /** With names as long as they may be. */
    const names = Array.from({ length: 300 }, (_, count) => `room-${count}`.padEnd(64, "-"));

    async function joinMany(): Promise<void> {
      await connect(site.client);
      for (const name of names) site.server.rooms.set(name, { title: name });
      await Promise.all(names.map((name) => site.client.send({ type: "join", room_id: name })));
    }

    beforeEach(() => {
      site.client = site.open({ limits: { queuedCommands: 400 } });
    });

    test("are resumed in two parts, also again after a refusal", async () => {
      await joinMany();
      site.server.failNext("resume", "UNAVAILABLE", { retry_after_ms: 3_000 });
      await comeBack();
      expect(parts()).toEqual([250, 52]);
      await pass(3_000);
      expect(parts()).toEqual([250, 52, 250, 52]);
      expect(site.server.attempts).toHaveLength(2);
    });

    test("are resumed in more parts where the server takes small frames only", async () => {
      site.client = site.open({ limits: { queuedCommands: 400 }, transport: greetWith(2_000) });
      const gaps = vi.fn();
      site.client.on("gap", gaps);
      await joinMany();
      await comeBack(() => site.server.chat(names[299]!, "new"));
      const resumes = sent(site.server, "resume");
      expect(Math.max(...resumes.map((command) => JSON.stringify(command).length))).toBeLessThanOrEqual(2_000);
      const streams = resumes.flatMap((command) => Object.keys(command.streams));
      expect([streams.length, new Set(streams).size]).toEqual([302, 302]);
      expect(gaps).not.toHaveBeenCalled();
    });

    test("that are refused for good begin anew, on another socket", async () => {
      const fresh = vi.fn();
      await joinMany();
      site.client.room("general").join();
      await settle();
      site.server.failNext("resume", "INVALID_MESSAGE");
      await comeBack(() => site.server.chat("general", "four"));
      site.client.on("connected", fresh);
      await pass(60_000);
      expect(parts()).toEqual([250, 53]);
      expect(fresh).not.toHaveBeenCalled();
      expect(site.server.attempts).toHaveLength(3);
      expect(site.client.room("general").messages.at(-1)!.text).toBe("four");
    });
  });

  test("a room that is gone is left", async () => {
    const left: object[] = [];
    site.client.on("left", (frame) => left.push(frame));
    await joinGeneral();
    site.server.failNext("resume", "NOT_FOUND", { stream: "room.general" });
    await comeBack();
    await comeBack();
    await pass(500); // the second pause is twice as long
    expect(left).toEqual([{ type: "left", room_id: "general", reason: "REMOVED" }]);
    expect(sent(site.server, "resume")[1].streams).not.toHaveProperty("room.general");
  });

  test("a batch is taken apart", async () => {
    const heard = listen();
    await joinGeneral();
    const [first, second] = [chat(4, "four"), chat(5, "five")];
    site.server.broadcast({ type: "batch", messages: [first, second, first] });
    await settle();
    expect(heard).toEqual(["four", "five"]);
  });

  test("a listener that throws disturbs nobody", async () => {
    const reported = vi.fn();
    vi.stubGlobal("reportError", reported);
    site.client.on("chat", () => {
      throw new Error("mine");
    });
    const heard = listen();
    await joinGeneral();
    site.server.chat("general", "four");
    await settle();
    expect(heard).toEqual(["four"]);
    expect(reported).toHaveBeenCalledOnce();
    vi.unstubAllGlobals();
  });
});

describe("commands", () => {
  const say = (message: string): Promise<unknown> => site.client.send({ type: "message", room_id: "general", message });
  const texts = (): string[] => site.server.history("general").map(({ message }) => message);

  test("what is sent before and between connections is sent then, in order", async () => {
    const first = say("four");
    await connect(site.client);
    await first;
    site.server.drop();
    await settle();
    const others = [say("five"), say("six")];
    await pass(500);
    await Promise.all(others);
    expect(texts().slice(3)).toEqual(["four", "five", "six"]);
  });

  test("what was lost with its answer is sent again with the same id, and stored once", async () => {
    await connect(site.client);
    const told = vi.fn();
    const [socket] = site.server.sockets;
    socket!.deliver = () => {}; // the server's answer does not arrive
    void say("four").then(told);
    await settle();
    expect(texts()).toContain("four");
    expect(told).not.toHaveBeenCalled();
    await comeBack();
    expect(told).toHaveBeenCalledOnce();
    expect(new Set(sent(site.server, "message").map(({ id }) => id)).size).toBe(1);
    expect(texts().filter((text) => text === "four")).toHaveLength(1);
  });

  test.each(["UNAVAILABLE", "RATE_LIMITED"] as const)("%s is passing: sent again with the same id", async (code) => {
    await connect(site.client);
    site.server.failNext("message", code, { retry_after_ms: 700 });
    const sending = say("four");
    await settle();
    expect(texts()).not.toContain("four");
    await pass(700);
    await sending;
    expect(texts()).toContain("four");
  });

  test("a refusal rejects, with the server's words", async () => {
    await connect(site.client);
    site.server.failNext("message", "FORBIDDEN", { message: "Not you." });
    await expect(say("four")).rejects.toMatchObject({ code: "FORBIDDEN", message: "Not you." });
  });

  test("all settle on close, and none is accepted after it", async () => {
    const waiting = [say("four"), say("five")];
    site.client.close();
    expect(await Promise.all(waiting.map(codeOf))).toEqual(["CLOSED", "CLOSED"]);
    expect(await codeOf(say("six"))).toBe("CLOSED");
  });

  test("the queue is bounded", async () => {
    const client = site.open({ limits: { queuedCommands: 2 } });
    const ping = (): Promise<unknown> => client.send({ type: "ping" });
    const [, , third] = [ping(), ping(), ping()];
    expect(await codeOf(third)).toBe("QUEUE_FULL");
  });

  test("what the server would close the socket for is not sent", async () => {
    await connect(site.client);
    expect(await codeOf(say("語".repeat(30_000)))).toBe("TOO_LARGE");
    expect(site.client.state.status).toBe("online");
  });

  test.each([
    [1_000, 2_000, "TOO_LARGE"],
    [200_000, 100_000, ""],
  ])("a server takes %i bytes, which the first socket says: of %i it is", async (most, length, code) => {
    const client = site.open({ transport: greetWith(most) });
    const write = (message: string): Promise<unknown> => client.send({ type: "message", room_id: "general", message });
    const [long, short] = [write("x".repeat(length)), write("x")];
    await connect(client);
    expect([await codeOf(long), await codeOf(short)]).toEqual([code, ""]);
    expect(sent(site.server, "message").map(({ message }) => message.length)).toEqual(code ? [1] : [length, 1]);
  });

  test("half of a character is mended, because the server could not even read the id", async () => {
    await connect(site.client);
    await say("cut \ud83d");
    expect(texts()).toContain("cut \ufffd");
  });

  test("a sign-out rejects what is waiting, and nothing of it is sent to the next user", async () => {
    const waiting = say("of the first user");
    site.client.signOut();
    expect(await codeOf(waiting)).toBe("SIGNED_OUT");
    await connect(site.client);
    expect(sent(site.server, "message")).toEqual([]);
  });

  test("a socket of another user gets nothing of the first one", async () => {
    await joinGeneral();
    site.server.drop();
    await settle();
    const waiting = say("of the first user");
    const users: unknown[] = [];
    site.client.on("user", ({ user }) => users.push(user));
    site.server.user = 7;
    await pass(500);
    expect(await codeOf(waiting)).toBe("USER_CHANGED");
    expect(users).toEqual([undefined, 7]);
    expect(site.client.user).toBe(7);
    expect(sent(site.server, "message")).toEqual([]);
    expect(sent(site.server, "resume")).toEqual([]);
  });
});
