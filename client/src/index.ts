/** The entry of the library: everything public that needs no framework. Importing it touches no global. */

import { Realtime } from "./realtime.js";
import type { Options } from "./types.js";

export { RealtimeError, Unauthorized } from "./errors.js";
export { webSocket } from "./transport.js";
export type * from "./types.js";
export type * as frames from "./frames.js";
export { Realtime };

/** The real-time client of a page. It opens nothing until `connect` is called. */
export function createRealtime(options?: Options): Realtime {
  return new Realtime(options);
}
