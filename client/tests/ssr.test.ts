/** On a server that renders pages: nothing is opened, and importing the library touches no global. */

import { readFileSync } from "node:fs";
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { afterEach, expect, test, vi } from "vitest";
import { createSSRApp, h } from "vue";
import { renderToString as renderVue } from "vue/server-renderer";

import { createFakeServer, settle } from "../src/testing.js";

const BROWSER_GLOBALS = ["window", "document", "location", "navigator", "WebSocket", "SharedWorker", "BroadcastChannel", "fetch"];

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

test("importing touches no global", async () => {
  vi.resetModules(); // what this file has imported would not be loaded again
  for (const name of BROWSER_GLOBALS)
    Object.defineProperty(globalThis, name, {
      configurable: true,
      get: () => {
        throw new Error(`${name} was touched`);
      },
    });
  try {
    const entries = ["core", "index", "react", "vue", "testing"].map((name) => import(`../src/${name}.ts`));
    expect(await Promise.all(entries)).toHaveLength(5);
  } finally {
    for (const name of BROWSER_GLOBALS) delete (globalThis as Record<string, unknown>)[name];
  }
});

test("both frameworks have the names of the page", async () => {
  const page = readFileSync("../docs/frontend.md", "utf8").split("\n## What both have\n")[1]!.split("\n## ")[0]!;
  const names = [...page.matchAll(/^\| `(\w+)/gm)].map(([, name]) => name!);
  const found = await Promise.all(["react", "vue"].map((name) => import(`../src/${name}.ts`)));
  for (const hooks of found) expect(Object.keys(hooks).toSorted()).toEqual(names.toSorted());
});

test("React renders what is shown before anything is known", async () => {
  const [{ createRealtime }, hooks] = [await import("../src/index.js"), await import("../src/react.js")];
  const server = createFakeServer({ rooms: { general: {} } });
  const client = createRealtime(server.options);
  const Page = (): string => {
    const { status } = hooks.useConnection();
    const { messages } = hooks.useMessages("general");
    const { onlineCount } = hooks.usePresence([2]);
    return `${status} ${messages.length} ${onlineCount} ${hooks.useUnread()} ${hooks.useTopic("price")}`;
  };
  const page = createElement(hooks.RealtimeProvider, { client }, createElement(Page));
  expect(renderToString(page)).toBe("idle 0 null 0 undefined");
  expect(server.attempts).toHaveLength(0);
  // What a server renders must be what the browser renders first, whatever the client knows by then.
  client.connect();
  await settle();
  expect(client.state.status).toBe("online");
  expect(renderToString(page)).toBe("idle 0 null 0 undefined");
  client.close();
});

test("Vue does the same", async () => {
  const [{ createRealtime }, hooks] = [await import("../src/index.js"), await import("../src/vue.js")];
  const server = createFakeServer({ rooms: { general: {} } });
  const client = createRealtime(server.options);
  const Page = {
    setup() {
      const [{ status }, { messages }] = [hooks.useConnection(), hooks.useMessages("general")];
      return () => `${status.value} ${messages.value.length}`;
    },
  };
  const app = createSSRApp(() => h(hooks.RealtimeProvider, { client }, () => h(Page)));
  expect(await renderVue(app)).toContain("idle 0");
  expect(server.attempts).toHaveLength(0);
});
