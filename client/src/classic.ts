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
if (script?.dataset["realtime"] !== undefined && !window.realtime) window.realtime = start(script.dataset);

function start({ url, api, worker, user, csrf }: DOMStringMap): Realtime {
  const options: Options = { share: true };
  if (url) options.url = url;
  if (api) options.api = api;
  if (user) options.user = JSON.parse(user);
  if (csrf) options.csrfToken = () => csrf;
  // Static files may be on another host, from which no worker can be started. Then one tab leads the others.
  if (worker && new URL(worker, location.href).origin === location.origin) options.worker = worker;
  const client = createRealtime(options);
  if (user) client.connect();
  return client;
}
