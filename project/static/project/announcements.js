/** Announcements, above the conversation. The list is loaded with each connection, and frames keep it right. */

import { realtime } from "./client.js";
import { clone, find, part, safeAddress, setText, showList } from "./dom.js";
import { keepLoaded } from "./loading.js";
import { showToast } from "./toasts.js";
import { gettext, sayError } from "./texts.js";

let announcements = [];
const closing = new Set(); // the ids of those that the visitor closes, until the server has answered
const list = keepLoaded("/announcements", take);

export function startAnnouncements() {
  realtime.on("announcement", list.load);
  realtime.on("announcement_changed", ({ data }) => setTimeout(list.load, Math.random() * data.within_ms));
  realtime.on("announcement_ended", ({ data }) => remove(data.announcement_id));
  realtime.on("announcement_state", ({ data }) => {
    if (data.dismissed_at || data.confirmed_at) remove(data.announcement_id);
  });
}

function take(answer) {
  ({ announcements } = answer);
  show();
  for (const { id, seen_at } of announcements) if (!seen_at) post(id, "seen").catch(() => {});
}

function remove(id) {
  announcements = announcements.filter((announcement) => announcement.id !== id);
  list.renew();
  show();
}

const post = (id, act) => realtime.rest("POST", `/announcements/${id}/${act}`);

/** It goes at once, and comes back if the server does not know of it. */
async function close(id, act) {
  closing.add(id);
  show();
  try {
    await post(id, act);
    remove(id);
  } catch (error) {
    showToast(gettext("That did not work"), sayError(error));
  }
  closing.delete(id);
  show();
}

function show() {
  const open = announcements.filter(({ id }) => !closing.has(id));
  showList(find("announcements"), open, ({ id }) => id, () => clone("announcement-piece"), showOne);
}

function showOne(element, { id, level, title, message, link, closing: act }) {
  element.dataset.level = level;
  setText(part(element, "b"), title);
  setText(part(element, "span"), message);
  const more = part(element, ".more");
  more.hidden = !safeAddress(link);
  if (!more.hidden) more.href = safeAddress(link);
  const button = part(element, "button");
  button.hidden = act === "stay";
  setText(button, act === "confirm" ? gettext("I have read it") : gettext("Dismiss"));
  button.onclick = () => close(id, act);
}
