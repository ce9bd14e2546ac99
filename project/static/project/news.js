/** Notifications that arrive: a toast, and while nobody looks one of the browser's own, if the visitor wants them. */

import { realtime } from "./client.js";
import { find, isVisible } from "./dom.js";
import { showToast } from "./toasts.js";
import { gettext } from "./texts.js";

export function startNews() {
  realtime.notifications.on("notification", (item) => {
    if (!isVisible() && canShow("granted")) showOnDesktop(item);
    else showToast(item.title, item.message);
  });
  const button = find("desktop");
  button.hidden = !canShow("default");
  button.addEventListener("click", async () => {
    const answer = await Notification.requestPermission();
    button.hidden = true;
    if (answer === "denied") showToast(gettext("The browser shows no notifications of this site"));
  });
}

const canShow = (permission) => "Notification" in window && Notification.permission === permission;

function showOnDesktop({ id, title, message }) {
  const shown = new Notification(title, { body: message, tag: `notification-${id}` });
  shown.addEventListener("click", () => (window.focus(), shown.close()));
}
