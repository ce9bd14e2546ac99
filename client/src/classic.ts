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
// A page that replaces its content may run the script again.
if (script?.dataset["realtime"] !== undefined) window.realtime ??= start(script.dataset);

/** `data-url`, `data-api` and `data-worker` are options as they are. */
function start({ user, csrf, ...others }: DOMStringMap): Realtime {
  const options = { share: true, ...others, user: user && JSON.parse(user), csrfToken: csrf && (() => csrf) };
  const client = createRealtime(options as Options);
  if (user) client.connect();
  return client;
}
