// @vitest-environment happy-dom
/** The script of the tag `{% realtime_client %}`, on a page that replaces its content. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";

const requests: RequestInit[] = [];

beforeEach(() => {
  requests.length = 0;
  vi.stubGlobal("WebSocket", class {
    close(): void {}
  });
  vi.stubGlobal("fetch", async (_: string, init: RequestInit) => (requests.push(init), Response.json({})));
});

afterEach(() => {
  window.realtime?.close();
  delete window.realtime;
  delete window.realtimeTag;
  vi.unstubAllGlobals();
});

/** Run the script of a tag with these attributes. */
async function runTag(attributes: Record<string, string>): Promise<void> {
  const script = document.createElement("script");
  Object.assign(script.dataset, { realtime: "", url: "ws://test/api/v1/ws", ...attributes });
  vi.spyOn(document, "currentScript", "get").mockReturnValue(script);
  vi.resetModules();
  await import("../src/classic.js");
}

async function tokenOfPost(): Promise<unknown> {
  await window.realtime!.rest("POST", "/rooms", { title: "Tea" });
  return (requests.at(-1)!.headers as Record<string, string>)["X-CSRFToken"];
}

test("what waits for the first socket goes on waiting for the same visitor", async () => {
  await runTag({ user: "7" });
  const { realtime } = window;
  const sent = realtime!.room("general").send("Hello!");
  const settled = vi.fn();
  sent.then(settled, settled);
  await runTag({ user: "7" });
  expect(window.realtime).toBe(realtime);
  expect(realtime!.room("general").messages.map(({ text, status }) => [text, status])).toEqual([["Hello!", "sending"]]);
  expect(settled).not.toHaveBeenCalled();
});

test("an element of the page with the same id does not take the client's place", async () => {
  // What a browser has under the name of each id.
  Object.assign(window, { realtime: document.createElement("section") });
  await runTag({ user: "7" });
  const { realtime } = window;
  expect(realtime!.state.status).toBe("connecting");
  await runTag({ user: "7" });
  expect(window.realtime).toBe(realtime);
});

test("nothing of it is sent for another visitor", async () => {
  await runTag({ user: "7" });
  const sent = window.realtime!.room("general").send("Hello!");
  await runTag({ user: "8" });
  await expect(sent).rejects.toMatchObject({ code: "CLOSED" });
  expect(window.realtime!.room("general").messages).toEqual([]);
});

test("a page without a visitor signs out, and opens no socket", async () => {
  const opened = vi.fn();
  vi.stubGlobal("WebSocket", class {
    constructor() {
      opened();
    }
    close(): void {}
  });
  await runTag({ user: "7" });
  await vi.waitFor(() => expect(opened).toHaveBeenCalledOnce());
  const sent = window.realtime!.room("general").send("Hello!");
  await runTag({});
  expect(window.realtime!.state.status).toBe("signedOut");
  await expect(sent).rejects.toMatchObject({ code: "SIGNED_OUT" });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(opened).toHaveBeenCalledOnce();
  await runTag({ user: "7" });
  await vi.waitFor(() => expect(opened).toHaveBeenCalledTimes(2));
});

test("the token of requests is that of the last tag, where scripts may not see the cookie", async () => {
  await runTag({});
  expect(await tokenOfPost()).toBe("");
  await runTag({ user: "7", csrf: "first", cookie: "token" });
  expect(await tokenOfPost()).toBe("first");
  await runTag({ user: "7", csrf: "second", cookie: "token" });
  expect(await tokenOfPost()).toBe("second");
  document.cookie = "token=third";
  expect(await tokenOfPost()).toBe("third");
});
