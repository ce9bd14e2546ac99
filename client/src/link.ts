/** What the objects of a page need of a connection: their own (`connection`), or one that tabs share (`share`). */

import type { ConnectedData } from "./frames.js";
import type { Answer, Command, State } from "./types.js";

export type Sent = Command & { id?: string };

export interface LinkEvents {
  state(state: State): void;
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
  close(): void;
  signOut(): void;
  /** False if the command could not be sent now. */
  transmit(command: Sent): boolean;
  /** Time has passed, or the network has changed: see whether the connection still works. Also ends `suspend`. */
  wake(): void;
  /** The page is put aside, and must hold no connection. */
  suspend(): void;
}

export const IDLE: State = { status: "idle", reason: "", code: 0, retryAt: null, transport: "" };
