/** How many users are online (pure). */

import type { Answer } from "./types.js";

/** The number of users who are online, after a frame (`docs/protocol.md`, Counting). */
export function countOnline(count: number, { type, data }: Answer): number {
  if (type === "online_count") return data.online_count;
  return type === "user_status" ? count + (data.status === "online" ? 1 : -1) : count;
}
