/** The entry `./core`: the connection, frames and commands, for pages that show no rooms, presence or notifications. */

import { Client } from "./client.js";
import type { Options } from "./types.js";

export { RealtimeError, Unauthorized } from "./errors.js";
export type * from "./types.js";
export { Client };

/** The client of a page. It opens nothing until `connect` is called. */
export function createClient(options?: Options): Client {
  return new Client(options);
}
