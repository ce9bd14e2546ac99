/** What tabs and the host of their common socket say to each other. */

import type { OpenRequest } from "../types.js";

declare const __BUILD__: string | undefined;

/** Tabs of another build may speak otherwise, so they share nothing with these. */
export const BUILD = typeof __BUILD__ === "string" ? __BUILD__ : "source";

/** With a `request`, a tab opens a socket; with a `text`, it sends a command; with neither, it is gone. */
export interface ToHost {
  to: "host";
  tab: string;
  request?: OpenRequest;
  text?: string;
}

/**
 * With a `text`, a frame; with a `code`, the end of the socket. With neither, the host is there. Said to everybody, it
 * means that a new host has begun: whoever wants a socket has to open it there.
 */
export interface ToTab {
  to: string;
  text?: string;
  code?: number;
  reason?: string;
}

export const EVERYBODY = "*";

/** A way to the host, such as the port of a worker. */
export interface Line {
  postMessage(message: ToHost): void;
  close(): void;
}

/** A kind of host. */
export interface Kind {
  readonly name: "worker" | "leader";
  /** Rejects, or calls `onFailure` later, if it does not work here. */
  open(hear: (event: MessageEvent<ToTab>) => void, onFailure: () => void): Promise<Line>;
}
