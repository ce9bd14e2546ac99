/** Announcements, above the conversation. The list is loaded with each connection, and frames keep it right. */

import { realtime } from "./client.js";
import { clone, find, keepFocus, part, safeAddress, setText, showList } from "./dom.js";
import { keepLoaded } from "./loading.js";
import { showToast } from "./toasts.js";
import { gettext, sayError } from "./texts.js";

let announcements = [];
let tests = []; // of staff who try how something looks; nothing is reported of them
const closing = new Set(); // the ids of those that the visitor closes, until the server has answered
const list = keepLoaded(() => realtime.rest("GET", "/announcements"), take);

export function startAnnouncements() {
  realtime.on("announcement", ({ data }) => (data.test ? addTest : add)(say(data)));
  realtime.on("announcement_changed", ({ data }) => setTimeout(list.load, Math.random() * data.within_ms));
  realtime.on("announcement_ended", ({ data }) => remove(data.announcement_id));
  realtime.on("announcement_state", ({ data }) => {
    const known = announcements.find(({ id }) => id === data.announcement_id);
    if (!known || isClosed(known, data)) remove(data.announcement_id);
  });
}

function take(answer) {
  ({ announcements } = answer);
  show();
  for (const { id, seen_at } of announcements) if (!seen_at) report(id, "seen");
}

/** The announcement of a frame as a list has it: in the language of the page, or else in the one for all others. */
function say({ texts, fallback, ...announcement }) {
  const saidIn = (wanted) => texts.find(({ language }) => language === wanted);
  return { ...(saidIn(document.documentElement.lang) ?? saidIn(fallback)), ...announcement };
}

function add(announcement) {
  // A list that was loaded after it had gone live has it.
  if (announcements.some(({ id }) => id === announcement.id)) return;
  announcements = [announcement, ...announcements];
  list.renew();
  show();
  report(announcement.id, "seen");
}

function addTest(announcement) {
  dropTest(announcement.id);
  tests = [announcement, ...tests];
  show();
}

function dropTest(dropped) {
  tests = tests.filter(({ id }) => id !== dropped);
  show();
}

/** By its present `closing`: what was dismissed before may have to be confirmed now. */
function isClosed({ closing: act }, { dismissed_at, confirmed_at }) {
  return act !== "stay" && Boolean(confirmed_at || (act === "dismiss" && dismissed_at));
}

function remove(id) {
  announcements = announcements.filter((announcement) => announcement.id !== id);
  list.renew();
  show();
}

const post = (id, act) => realtime.rest("POST", `/announcements/${id}/${act}`);

const report = (id, act) => post(id, act).catch(() => {});

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
  const keyOf = ({ id, test }) => (test ? `test-${id}` : id);
  const [region, shown] = [find("announcements"), [...tests, ...open]];
  keepFocus(
    () => showList(region, shown, keyOf, () => clone("announcement-piece"), showOne),
    () => part(region, "button:not([hidden])"),
  );
  // Those that are too long are scrolled with the keys.
  region.tabIndex = shown.length ? 0 : -1;
}

function showOne(element, { id, level, title, message, link, closing: act, test }) {
  element.dataset.level = level;
  setText(part(element, "b"), title);
  setText(part(element, "span"), message);
  const more = part(element, ".more");
  more.hidden = !safeAddress(link);
  if (!more.hidden) more.href = safeAddress(link);
  more.onclick = () => test || report(id, "read");
  const button = part(element, "button");
  button.hidden = act === "stay";
  setText(button, act === "confirm" ? gettext("I have read it") : gettext("Dismiss"));
  button.onclick = () => (test ? dropTest(id) : close(id, act));
}
