/** The inbox: its list, its tabs, and what one can do with a notification. */

import { realtime } from "./client.js";
import { find, part, showList } from "./dom.js";
import { listenToKeys } from "./keys.js";
import { makeItem, showItem } from "./item.js";
import { showToast } from "./toasts.js";
import { fill, gettext, ngettext, sayError } from "./texts.js";

const BOXES = {
  inbox: { box: "inbox" },
  unread: { box: "inbox", unread: true },
  snoozed: { box: "snoozed" },
  archived: { box: "archived" },
};
const SNOOZE_MS = 60_000; // short, so that one sees it come back
const inbox = realtime.notifications;

export function startInbox() {
  inbox.open();
  inbox.subscribe(show);
  find("bell").addEventListener("click", () => toggle(find("inbox").hidden));
  find("close-inbox").addEventListener("click", () => toggle(false));
  find("read-all").addEventListener("click", () => attempt(inbox.readAll(), gettext("All are read")));
  find("more-items").addEventListener("click", () => attempt(inbox.loadMore()));
  part(find("inbox"), ".tabs").addEventListener("change", ({ target }) => attempt(inbox.show(BOXES[target.value])));
  listenToKeys({ ...acts, close: () => toggle(false) });
  show();
}

/** What the buttons of a notification and the keys do. */
export const acts = {
  archive: (item) =>
    item.archived_at
      ? attempt(inbox.unarchive(item.id), gettext("Back in the inbox"))
      : attempt(inbox.archive(item.id), gettext("Archived")),
  toggle: (item) => attempt(item.read_at ? inbox.unread(item.id) : inbox.read(item.id)),
  snooze: (item) =>
    item.snoozed_until
      ? attempt(inbox.unsnooze(item.id), gettext("Back in the inbox"))
      : attempt(inbox.snooze(item.id, new Date(Date.now() + SNOOZE_MS)), gettext("Snoozed for a minute")),
  read: (item) => attempt(inbox.read(item.id)),
  async undo() {
    if ((await attempt(inbox.undo())) === false) showToast(gettext("There is nothing to undo"));
  },
};

/** Show what went wrong, or offer to undo what was done. */
async function attempt(promise, done) {
  try {
    const result = await promise;
    if (done) showToast(done, "", { label: gettext("Undo"), run: acts.undo });
    return result;
  } catch (error) {
    showToast(gettext("That did not work"), sayError(error));
  }
}

function toggle(isOpen) {
  find("inbox").hidden = !isOpen;
  find("bell").setAttribute("aria-expanded", String(isOpen));
  if (!isOpen) find("bell").focus();
  else {
    inbox.seen().catch(() => {});
    (find("items").firstElementChild ?? find("close-inbox")).focus();
  }
}

function show() {
  const { items, hasMore, loading } = inbox.getSnapshot();
  const focused = [...find("items").children].indexOf(document.activeElement?.closest?.("#items > li"));
  showList(find("items"), items, ({ id }) => id, () => makeItem(acts), showItem);
  if (focused >= 0 && !find("items").contains(document.activeElement)) refocus(focused);
  find("no-items").hidden = loading || items.length > 0;
  find("more-items").hidden = !hasMore;
  showCount(inbox.counts.unread);
}

/** After an act has removed the notification with the focus, the one in its place has it. */
function refocus(place) {
  const items = find("items").children;
  (items[Math.min(place, items.length - 1)] ?? find("close-inbox")).focus();
}

function showCount(unread) {
  const text = unread > 99 ? "99+" : String(unread);
  find("unread").textContent = unread ? text : "";
  find("unread").title = fill(ngettext("%(count)s unread", "%(count)s unread", unread), { count: text });
  document.title = unread ? `(${text}) Realtime` : "Realtime";
}
