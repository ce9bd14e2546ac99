/** The entry of the library: everything public that needs no framework. Importing it touches no global. */

import type { Options, Realtime } from "./types.js";

export { RealtimeError, Unauthorized } from "./errors.js";
export type * from "./types.js";
export type * as frames from "./frames.js";

/** The real-time client of a page. It opens nothing until `connect` is called. */
export function createRealtime(options: Options = {}): Realtime {
  throw new Error(`Not implemented: ${Object.keys(options).join()}`);
}
