/** The script that `{% realtime_client %}` loads: makes `window.realtime` from the attributes of its own tag. */

import { readCookie } from "./settings.js";
import type { UserId } from "./frames.js";
import { createRealtime, type Options, type Realtime, RealtimeError, Unauthorized } from "./index.js";

declare global {
  interface Window {
    /** The client of the page, if the tag has loaded it. */
    realtime?: Realtime;
    /** What the last tag has said, and the client: before it is there, an element with the id `realtime` has its name. */
    realtimeTag?: { visitor?: UserId; csrf?: string; cookie?: string; client?: Realtime };
  }
}

const last = (window.realtimeTag ??= {});
const script = document.currentScript as HTMLScriptElement | null;
Object.assign(window, { createRealtime, RealtimeError, Unauthorized });
if (script?.dataset["realtime"] !== undefined) start(script.dataset);

/**
 * `data-url`, `data-api` and `data-worker` are options as they are. A page that replaces its content runs the script again,
 * perhaps for another visitor: the client asks what the last tag has said.
 */
function start({ user, csrf, cookie, ...others }: DOMStringMap): void {
  const visitor = user && JSON.parse(user);
  const client = (window.realtime = last.client ??= createRealtime({ share: true, ...others, csrfToken } as Options));
  const known = client.user ?? last.visitor;
  Object.assign(last, { visitor, csrf, cookie });
  // Where nobody is logged in any more, there is nothing to connect with. Other tabs hear that from the server.
  if (known !== visitor) {
    if (user) client.setUser(visitor);
    else client.signOut("SIGNED_OUT");
  }
  if (user) client.connect();
}

/** A login in another tab changes the cookie. Some sites keep it from scripts. */
function csrfToken(): string {
  return readCookie(last.cookie) || last.csrf || "";
}
