/** A client and the fake server for tests of the core, with fake time. Used by all `core_*` tests. */

import { afterEach, beforeEach, vi } from "vitest";

import { createRealtime, type Options, type Realtime, type State } from "../src/index.js";
import { createFakeServer, type FakeServer, type FakeServerOptions, installFetch, settle } from "../src/testing.js";
import { PATIENCE_MS } from "./patience.js";

const ROOM_MESSAGES = ["one", "two", "three"];

export interface Site {
  server: FakeServer;
  client: Realtime;
  /** The clients that `open` has made, to close them. */
  clients: Realtime[];
  /** The tokens that the credential callback has given, in their order. */
  tokens: string[];
  /** The states that the client has told. */
  states: State[];
  open(options?: Options): Realtime;
}

/** For each test a new server and a client that asks for a new token at each attempt. Nothing is connected yet. */
export function useSite(): Site {
  const given: FakeServerOptions = { rooms: { general: { messages: ROOM_MESSAGES }, team: {} } };
  const site = {} as Site;
  let uninstall: () => void;

  beforeEach(() => {
    vi.useFakeTimers({ now: new Date("2025-10-22T10:00:00Z") });
    // A half each time, but never the same number: pages and tabs have names of such numbers.
    let count = 0;
    vi.spyOn(Math, "random").mockImplementation(() => 0.5 + ++count * 1e-12);
    vi.spyOn(AbortSignal, "timeout").mockImplementation(endAfter);
    Object.assign(site, { server: createFakeServer(given), clients: [], tokens: [], states: [] });
    site.open = (options = {}) => {
      const client = createRealtime({ ...site.server.options, credential: giveToken, ...options });
      site.clients.push(client);
      client.onState((state) => site.states.push(state));
      return client;
    };
    const giveToken = (): string => {
      site.tokens.push(`token-${site.tokens.length + 1}`);
      return site.tokens.at(-1)!;
    };
    uninstall = installFetch(site.server);
    site.client = site.open();
  });

  afterEach(() => {
    site.clients.forEach((client) => client.close());
    uninstall();
    vi.useRealTimers();
  });
  return site;
}

/** `AbortSignal.timeout` by the fake time: the true one would end a request while the machine stands still. */
function endAfter(ms: number): AbortSignal {
  const stop = new AbortController();
  setTimeout(() => stop.abort(new DOMException("The time is over.", "TimeoutError")), ms);
  return stop.signal;
}

export async function connect(client: Realtime): Promise<void> {
  client.connect();
  await settle();
}

/** Time passes, and what it brings about arrives. */
export async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  await settle();
}

/** Wait for something that must happen but takes true time. Each look lets some time pass for the timers, too. */
export function until(check: () => void): Promise<void> {
  return vi.waitFor(check, PATIENCE_MS);
}

/** Time passes without timers, as on a machine that sleeps. */
export function sleep(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}

export function sent(server: FakeServer, type: string): any[] {
  return server.received.filter((command) => command.type === type);
}

/** The code with which a promise is rejected; "" if it is fulfilled. */
export function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "",
    (error) => error.code,
  );
}
