/** Notifications that arrive: a toast, and while nobody looks one of the browser's own, if the visitor wants them. */

import { realtime } from "./client.js";
import { find, isVisible, keepFocus } from "./dom.js";
import { showToast } from "./toasts.js";
import { gettext } from "./texts.js";

export function startNews() {
  realtime.notifications.on("notification", (item) => {
    if (isVisible() || !canShow("granted") || !showOnDesktop(item)) showToast(item.title, item.message);
  });
  const button = find("desktop");
  button.hidden = !canShow("default") || !make("");
  button.addEventListener("click", async () => {
    const answer = await Notification.requestPermission();
    keepFocus(() => (button.hidden = true));
    if (answer === "denied") showToast(gettext("The browser shows no notifications of this site"));
  });
}

const canShow = (permission) => "Notification" in window && Notification.permission === permission;

/** Returns whether it could be shown. */
function showOnDesktop({ id, title, message }) {
  const shown = make(title, { body: message, tag: `notification-${id}` });
  shown?.addEventListener("click", () => (window.focus(), shown.close()));
  return Boolean(shown);
}

/** Null where only a service worker can make one, as in Chrome on Android. Without the permission nothing is shown. */
function make(title, options) {
  try {
    return new Notification(title, options);
  } catch {
    return null;
  }
}
