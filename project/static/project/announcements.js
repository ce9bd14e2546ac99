/** Announcements, above the conversation. The list is loaded with each connection, and frames keep it right. */

import { realtime } from "./client.js";
import { clone, find, part, safeAddress, setText, showList } from "./dom.js";
import { gettext } from "./texts.js";

let announcements = [];

export function startAnnouncements() {
  realtime.on("connected", load);
  realtime.on("announcement", load);
  realtime.on("announcement_changed", ({ data }) => setTimeout(load, Math.random() * data.within_ms));
  realtime.on("announcement_ended", ({ data }) => remove(data.announcement_id));
  realtime.on("announcement_state", ({ data }) => {
    if (data.dismissed_at || data.confirmed_at) remove(data.announcement_id);
  });
}

async function load() {
  try {
    announcements = (await realtime.rest("GET", "/announcements")).announcements;
  } catch {
    return; // the next connection loads it again
  }
  show();
  for (const { id, seen_at } of announcements) if (!seen_at) post(id, "seen");
}

function remove(id) {
  announcements = announcements.filter((announcement) => announcement.id !== id);
  show();
}

const post = (id, act) => realtime.rest("POST", `/announcements/${id}/${act}`).catch(() => {});

function show() {
  showList(find("announcements"), announcements, ({ id }) => id, () => clone("announcement-piece"), showOne);
}

function showOne(element, { id, level, title, message, link, closing }) {
  element.dataset.level = level;
  setText(part(element, "b"), title);
  setText(part(element, "span"), message);
  const more = part(element, ".more");
  more.hidden = !safeAddress(link);
  if (!more.hidden) more.href = safeAddress(link);
  const button = part(element, "button");
  button.hidden = closing === "stay";
  setText(button, closing === "confirm" ? gettext("I have read it") : gettext("Dismiss"));
  button.onclick = () => (post(id, closing), remove(id));
}
