/** The errors of the library. */

import type { FailureCode } from "./types.js";

/** A command or a request was refused, or could not be sent. `message` is for people when the server has sent it. */
export class RealtimeError extends Error {
  override name = "RealtimeError";

  declare readonly code: FailureCode;
  /** When the server accepts it again, if it has said so; else 0. */
  declare readonly retryAfterMs: number;

  /** `cause` is the status of an answer, in the form of a code: a site may have codes of its own. */
  constructor(code: FailureCode, message: string = code, retryAfterMs = 0, cause: string = code) {
    super(message, { cause });
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Thrown by a site's `credential` when nobody is logged in: the client stops in the state `signedOut`. */
export class Unauthorized extends Error {
  override name = "Unauthorized";
}
