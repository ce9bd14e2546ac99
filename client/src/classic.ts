/** The script that `{% realtime_client %}` loads: makes `window.realtime` from the attributes of its own tag. */

import { createRealtime, type Options, type Realtime, RealtimeError, Unauthorized } from "./index.js";

declare global {
  interface Window {
    /** The client of the page, if the tag has loaded it. */
    realtime?: Realtime;
  }
}

const script = document.currentScript as HTMLScriptElement | null;
Object.assign(window, { createRealtime, RealtimeError, Unauthorized });
if (script?.dataset["realtime"] !== undefined) start(script.dataset);

/** `data-url`, `data-api` and `data-worker` are options as they are. */
function start({ user, csrf, cookie, ...others }: DOMStringMap): void {
  const visitor = user && JSON.parse(user);
  // A login in another tab changes the cookie. Some sites keep it from scripts.
  const csrfToken = (): string => document.cookie.match(`(^|; )${cookie}=([^;]+)`)?.[2] ?? csrf ?? "";
  const options = { share: true, ...others, user: visitor, ...(user && { csrfToken }) };
  const client = (window.realtime ??= createRealtime(options as Options));
  // A page that replaces its content runs the script again, perhaps for another visitor.
  if (client.user !== visitor) client.setUser(visitor);
  if (user) client.connect();
}
