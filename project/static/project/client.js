/** The one client of this window. */

import { createRealtime } from "../realtime/realtime.js";
import { credential, login } from "./login.js";
import { transport } from "./network.js";

export const realtime = createRealtime({ credential, user: login?.user_id, transport });
