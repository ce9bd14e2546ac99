/** The options of a client with all defaults filled in. */

import { Credentials } from "./credentials.js";
import type { UserId } from "./frames.js";
import { webSocket } from "./transport.js";
import type { Limits, Options, Transport } from "./types.js";

export interface Settings {
  url: string;
  api: string;
  credentials: Credentials;
  user: UserId | undefined;
  transport: Transport;
  csrfToken(): string;
  limits: Limits;
}

export const LIMITS: Limits = {
  credentialMs: 10_000,
  // More than the server waits for an `auth`, so that a visitor without a login hears of it.
  connectMs: 15_000,
  graceMs: 5_000,
  probeMs: 5_000,
  firstPauseMs: 1_000,
  longestPauseMs: 10_000,
  queuedCommands: 200,
  messagesPerRoom: 1_000,
};

/** Empty if there is no such cookie, or scripts may not see it. */
export function readCookie(name = "csrftoken"): string {
  return globalThis.document?.cookie.match(`(?:^|; )${name}=([^;]+)`)?.[1] ?? "";
}

/** Reads the page's address, so it is called when a connection is needed, and not when a module is imported. */
export function settle(options: Options, limits: Limits, onUnauthorized: () => void): Settings {
  // Where there is no page, addresses have to be absolute.
  const here = globalThis.location?.href;
  const url = new URL(options.url ?? "/api/v1/ws", here).href.replace(/^http/, "ws");
  const api = options.api ?? url.replace(/^ws/, "http").replace(/\/ws\/?(\?.*)?$/, "");
  return {
    url,
    api: new URL(api, here).href.replace(/\/$/, ""),
    credentials: new Credentials(options.credential, limits.credentialMs, onUnauthorized),
    user: options.user,
    transport: options.transport ?? webSocket,
    csrfToken: options.csrfToken ?? readCookie,
    limits,
  };
}
