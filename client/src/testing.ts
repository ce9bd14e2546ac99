/** The entry `./testing`: a fake server for the tests of a front end. Importing it touches no global. */

import { FakeServer, type FakeServerOptions } from "./testing/server.js";

export type { FakeCredential } from "./testing/credentials.js";
export type { FakeRoom, FakeServerOptions } from "./testing/server.js";
export { FakeServer } from "./testing/server.js";
export { type FakeRequest, Refusal, type Route } from "./testing/rest.js";

const later = globalThis.setTimeout; // the true one, whatever a test puts in its place

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
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => later(resolve));
}
