/** The inbox: its list, its tabs, and what one can do with a notification. */

import { realtime } from "./client.js";
import { find, keepFocus, part, showList } from "./dom.js";
import { listenToKeys } from "./keys.js";
import { makeItem, showItem } from "./item.js";
import { serverNow } from "./login.js";
import { endActs, showToast } from "./toasts.js";
import { atMost99, fill, gettext, ngettext, sayError } from "./texts.js";

const BOXES = {
  inbox: { box: "inbox" },
  unread: { box: "inbox", unread: true },
  snoozed: { box: "snoozed" },
  archived: { box: "archived" },
};
const SNOOZE_MS = 60_000; // short, so that one sees it come back
const inbox = realtime.notifications;
let last = null; // the promise of the last act, which is the one that can be undone; null if it has changed nothing
let wasLoading = false;
let isUnloaded = false; // the list, or more of it, could not be loaded

export function startInbox() {
  inbox.open();
  inbox.subscribe(show);
  // It is empty then, and would cover what says why.
  realtime.onState(({ status }) => status === "signedOut" && keepFocus(() => setOpen(false)));
  find("bell").addEventListener("click", () => toggle(find("inbox").hidden));
  find("close-inbox").addEventListener("click", () => toggle(false));
  find("space").addEventListener("focusin", ({ target }) => isBehind(target) && setOpen(false));
  find("read-all").addEventListener("click", readAll);
  find("more-items").addEventListener("click", () => inbox.loadMore());
  find("load-items").addEventListener("click", () => inbox.reload());
  part(find("inbox"), ".tabs").addEventListener("change", ({ target }) => attempt(inbox.show(BOXES[target.value])));
  listenToKeys({ ...acts, close: () => toggle(false) });
  show();
}

/** What the buttons of a notification and the keys do. */
export const acts = {
  archive: (item) =>
    item.archived_at
      ? perform(inbox.unarchive(item.id), gettext("Back in the inbox"))
      : perform(inbox.archive(item.id), gettext("Archived")),
  toggle: (item) => perform(item.read_at ? inbox.unread(item.id) : inbox.read(item.id)),
  snooze: (item) =>
    item.snoozed_until
      ? perform(inbox.unsnooze(item.id), gettext("Back in the inbox"))
      : perform(inbox.snooze(item.id, new Date(serverNow() + SNOOZE_MS)), gettext("Snoozed for a minute")),
  read: (item) => perform(inbox.read(item.id)),
  undo: () => undo(last),
};

/** The library takes back the last act that has not failed, so one that has failed must not be undone. */
async function undo(act) {
  const isDone = await act?.then(() => true, () => false);
  if (isDone) endActs();
  if (!isDone || (await attempt(inbox.undo())) === false) showToast(gettext("There is nothing to undo"));
}

/** Where nothing is unread, nothing changes. To undo that must not take back the act before, which has its button. */
function readAll() {
  const { items, hasMore, counts, filter } = inbox.getSnapshot();
  const isInbox = (filter.box ?? "inbox") === "inbox";
  const hasUnread = isInbox ? counts.unread > 0 : hasMore || items.some((item) => !item.read_at);
  if (hasUnread) return perform(inbox.readAll(), gettext("All are read"));
  last = null;
  if (items.length) showToast(gettext("All are read"));
}

/** Offer to undo what is done, until the next act. */
function perform(promise, done) {
  last = promise;
  endActs();
  const offer = { label: gettext("Undo"), run: () => undo(promise) };
  return attempt(promise, () => done && showToast(done, "", last === promise && offer));
}

/** Show what went wrong. */
async function attempt(promise, then) {
  try {
    const result = await promise;
    then?.();
    return result;
  } catch (error) {
    showToast(gettext("That did not work"), sayError(error));
  }
}

/** What has the focus has to be seen, and the inbox lies over the right side of the page. */
function isBehind(element) {
  const { left, width } = find("inbox").getBoundingClientRect();
  return width > 0 && element.getBoundingClientRect().left >= left;
}

function setOpen(isOpen) {
  find("inbox").hidden = !isOpen;
  find("bell").setAttribute("aria-expanded", String(isOpen));
}

function toggle(isOpen) {
  setOpen(isOpen);
  if (!isOpen) find("bell").focus();
  else {
    inbox.seen().catch(() => {});
    (find("items").firstElementChild ?? find("close-inbox")).focus();
  }
}

function show() {
  const { items, hasMore, loading, error } = inbox.getSnapshot();
  const list = find("items").children;
  const known = list.length;
  const place = [...list].indexOf(document.activeElement?.closest?.("#items > li"));
  // After an act has removed the notification with the focus, the one in its place has it.
  keepFocus(
    () => showList(find("items"), items, ({ id }) => id, () => makeItem(acts), showItem),
    () => list[Math.min(place, list.length - 1)] ?? null,
  );
  // An act that has failed leaves an error, too.
  if (wasLoading && !loading) isUnloaded = Boolean(error);
  wasLoading = loading;
  find("no-items").hidden = loading || isUnloaded || items.length > 0;
  // After the last page, the button is gone. The first one of that page has the focus.
  keepFocus(() => (find("more-items").hidden = !hasMore), () => list[known] ?? null);
  keepFocus(() => (find("items-unloaded").hidden = !isUnloaded), () => list[0] ?? null);
  showCount(inbox.counts.unread);
}

function showCount(unread) {
  const text = atMost99(unread);
  find("unread").textContent = unread ? text : "";
  find("unread").title = fill(ngettext("%(count)s unread", "%(count)s unread", unread), { count: text });
  document.title = unread ? `(${text}) Realtime` : "Realtime";
}
