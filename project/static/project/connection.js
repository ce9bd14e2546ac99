/** The pill that says how the connection is, why, and when the next attempt is. A click tries at once. */

import { realtime } from "./client.js";
import { find, readAloud, setText } from "./dom.js";
import { leave } from "./login.js";
import { fill, gettext } from "./texts.js";

const STATUS = {
  idle: gettext("Connecting…"),
  connecting: gettext("Connecting…"),
  online: gettext("Live"),
  waiting: gettext("Connection lost"),
  offline: gettext("No network"),
  signedOut: gettext("Signed out"),
  closed: gettext("Closed"),
};
const REASONS = {
  RESTARTING: gettext("Server restarts"),
  OVERLOADED: gettext("Server busy"),
  HEARTBEAT_TIMEOUT: gettext("No sign of life"),
  SLOW_CONSUMER: gettext("Network too slow"),
  RATE_LIMITED: gettext("Too many commands"),
  TOO_MANY_CONNECTIONS: gettext("Too many windows"),
  TOO_MANY_ERRORS: gettext("Too many errors"),
  KICKED: gettext("Ended by an admin"),
  USER_DISABLED: gettext("Account disabled"),
};
const HAVE_REASON = ["waiting", "signedOut", "closed"];
let told = STATUS.online; // what was read aloud last; that the first connection is there goes without saying

export function startPill() {
  const pill = find("pill");
  pill.addEventListener("click", () => realtime.connect());
  find("choose-again").addEventListener("click", leave);
  setInterval(() => showPill(pill, realtime.state), 500);
  realtime.onState((state) => (showPill(pill, state), tell(state)));
  showPill(pill, realtime.state);
}

function showPill(pill, state) {
  if (pill.dataset.status !== state.status) pill.dataset.status = state.status;
  setText(pill, sayStatus(state));
  find("ended").hidden = state.status !== "signedOut";
}

/** Neither attempts nor seconds, or it would never end. */
function tell(state) {
  if (state.status === "connecting" || told === sayWhy(state)) return;
  told = sayWhy(state);
  readAloud(told);
}

function sayStatus(state) {
  const why = sayWhy(state);
  if (state.status !== "waiting" || !state.retryAt) return why;
  const seconds = Math.max(0, Math.ceil((state.retryAt - Date.now()) / 1000));
  return fill(gettext("%(why)s, again in %(seconds)s s"), { why, seconds });
}

function sayWhy({ status, reason }) {
  return (HAVE_REASON.includes(status) && REASONS[reason]) || STATUS[status];
}
