/** The entry `./testing`: a fake server for the tests of a front end. Importing it touches no global. */

import { FakeServer, type FakeServerOptions } from "./testing/server.js";

export type { FakeCredential } from "./testing/credentials.js";
export type { FakeRoom, FakeServerOptions } from "./testing/server.js";
export { FakeServer } from "./testing/server.js";
export { type FakeRequest, Refusal, type Route } from "./testing/rest.js";

/** As it was before this module: the true one, unless fake timers were there first. */
const { setTimeout: later } = globalThis;

/** A server without a network: `createRealtime(server.options)` talks to it, and the test decides what happens. */
export function createFakeServer(options: FakeServerOptions = {}): FakeServer {
  return new FakeServer(options);
}

/** Put the server in the place of the global `fetch`. Returns a function that puts the old one back. */
export function installFetch(server: FakeServer): () => void {
  const old = globalThis.fetch;
  globalThis.fetch = server.fetch;
  return () => {
    globalThis.fetch = old;
  };
}

/** Wait until what was sent has arrived and was answered. Fake timers do not pass meanwhile. */
export async function settle(): Promise<void> {
  const takeTurn = "clock" in later ? afterMessage : later;
  for (let turn = 0; turn < 5; turn += 1) await new Promise<void>((resolve) => takeTurn(resolve));
}

/** Fake timers, which have a `clock`, leave the messages of channels alone. */
function afterMessage(run: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close(); // an open one would keep the process of the tests alive
    run();
  };
  port2.postMessage(null);
}
