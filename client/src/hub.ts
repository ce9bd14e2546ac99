/** What the objects of a client (rooms, topics, presence, notifications) share. Implemented by `client`. */

import type { ConnectedData, UserId } from "./frames.js";
import type { Loader } from "./loader.js";
import type { Outbox } from "./outbox.js";
import type { Rest } from "./rest.js";
import type { Answer, Command, Limits } from "./types.js";

export interface Hub {
  readonly rest: Rest;
  readonly outbox: Outbox;
  readonly limits: Limits;
  /** The greeting of the open socket; undefined while there is none. */
  greeting: ConnectedData | undefined;
  readonly user: UserId | undefined;
  send(command: Command, id?: string): Promise<Answer>;
  /** Send something that is of no use later: dropped while there is no connection. */
  sendNow(command: Command): unknown;
}

/** A part that the client tells about its sockets and users. */
export interface Part {
  /** What it has from the REST API: stopped with everything else that the user has begun. */
  readonly loader?: Loader;
  /** A socket is open; see `LinkEvents`. */
  ready(data: ConnectedData, isFresh: boolean): void;
  /** A frame that answers no command. */
  takeFrame(frame: Answer): void;
  /** Forget everything of the user. */
  reset(): void;
}
