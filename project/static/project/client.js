/** The one client of this window. */

import { createRealtime } from "../realtime/realtime.js";
import { credential, login } from "./login.js";
import { transport } from "./network.js";

// Elsewhere a short loss is not worth a word. Here one cuts the network to see it.
const limits = { graceMs: 0 };

export const realtime = createRealtime({ credential, user: login?.user_id, transport, limits });
