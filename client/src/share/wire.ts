/** What tabs and the host of their common socket say to each other. */

import type { ConnectedData, UserId } from "../frames.js";
import type { Sent } from "../link.js";
import type { Durations } from "../settings.js";
import type { Positions } from "../streams.js";
import type { Answer, Credential, State } from "../types.js";

declare const __BUILD__: string | undefined;

/** Tabs of another build may speak otherwise, so they share nothing with these. */
export const BUILD = typeof __BUILD__ === "string" ? __BUILD__ : "source";

export interface Setup {
  url: string;
  user: UserId | undefined;
  limits: Durations;
  /** Whether tabs can be asked for a credential. */
  credential: boolean;
}

export type ToHost = { to: "host"; tab: string } & (
  | { type: "connect"; setup: Setup; positions: Positions; user: UserId | undefined; state: State }
  | { type: "send"; command: Sent }
  | { type: "credential"; ask: number; credential?: Credential | null; error?: "unauthorized" | "failed" }
  | { type: "wake" | "bye" | "signOut" }
);

export type ToTab = { to: string } & (
  | { type: "state"; state: State }
  | { type: "ready"; data: ConnectedData }
  | { type: "frame"; frame: Answer }
  | { type: "ask"; ask: number }
  /** A new host has begun: whoever wants a connection has to say so again. */
  | { type: "who" }
);

export const EVERYBODY = "*";

/** A way to the host. */
export interface Line {
  readonly name: "worker" | "leader";
  post(message: ToHost): void;
  close(): void;
}

export type OpenLine = (hear: (message: ToTab) => void, onFailure: () => void) => Line;
