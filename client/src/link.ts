/** What the objects of a page need of a connection: their own (`connection`), or one that tabs share (`share`). */

import type { ConnectedData } from "./frames.js";
import type { Answer, State } from "./types.js";

export interface LinkEvents {
  alter(changes: Partial<State>): void;
  /**
   * A socket is open: commands without an answer have to be sent again. `streams` has what is listened to, with its
   * positions. `isFresh`: nothing is resumed, so whatever a page shows may be out of date.
   */
  ready(data: ConnectedData, isFresh: boolean): void;
  /** Every frame that a page may want, events once and in order; also `gap`. */
  takeFrame(frame: Answer): void;
}

export interface Link {
  connect(): void;
  /** Let go of the socket. The page is put aside, and must hold none, or its client is closed. */
  close(): void;
  /** `reason` is given if the login of this tab alone has ended. */
  signOut(reason?: string): void;
  /** Send a command, unless no socket is open. */
  transmit(text: string): void;
  /** Time has passed, or the network has changed: see whether the connection still works. Comes back after `close`. */
  wake(): void;
}

export const IDLE: State = { status: "idle", reason: "", code: 0, retryAt: null, transport: "" };
