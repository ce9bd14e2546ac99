/** The messages of the room that is shown: older ones on scrolling up, what is new, and how far one has read. */

import { find, isVisible, keepFocus, setText, showList } from "./dom.js";
import { makeMessage, showMessage } from "./message.js";
import { nameOf } from "./people.js";
import { fill, gettext, listNames, ngettext } from "./texts.js";

const NEAR = 120; // pixels from an end of the list that count as being there

const scroller = find("scroller");
// The room, its `title` in the list, `offs` for leaving it, `mark`: the position before the line "New", or null; and
// `isLoading`: what comes next is a page of its history.
let shown = null;

export function openRoom(room, title) {
  if (shown?.room === room) return;
  shown?.offs.forEach((off) => off());
  shown = { room, title, mark: null, isLoading: true, offs: [room.join(), room.subscribe(showAll)] };
  find("messages").replaceChildren();
  document.dispatchEvent(new CustomEvent("room", { detail: room }));
  showAll();
  shown.isOpened = true;
  jumpToEnd();
  noteRead();
}

export const currentRoom = () => shown?.room;

export function startConversation() {
  scroller.addEventListener("scroll", () => (loadOlder(), noteRead()), { passive: true });
  document.addEventListener("visibilitychange", noteRead);
  addEventListener("focus", noteRead);
  find("newer").addEventListener("click", () => (scroller.focus(), jumpToEnd()));
  find("load-again").addEventListener("click", loadAgain);
  find("composer").addEventListener("submit", () => {
    if (shown) shown.mark = null;
    jumpToEnd();
  });
  // The end stays in sight when the composer grows or the window becomes smaller.
  new ResizeObserver(() => {
    if (wasAtEnd) jumpToEnd();
    if (shown) fillPane();
    noteRead();
  }).observe(scroller);
}

/** Scroll to the first message after a position, which becomes the mark of what is new. */
export function showSince(seq) {
  shown.mark = seq;
  showAll();
  find("messages").querySelector(".first-new")?.scrollIntoView({ block: "center" });
}

let wasAtEnd = true;

function showAll() {
  const snapshot = shown.room.getSnapshot();
  const { messages, loading, error, status } = snapshot;
  setText(find("room-title"), snapshot.title || shown.title);
  scroller.setAttribute("aria-busy", String(loading));
  find("unloaded").hidden = !error || status === "gone";
  shown.isLoading ||= loading;
  if (isTooEarly(snapshot)) return showHints(snapshot);
  wasAtEnd = isAtEnd();
  const place = notePlace();
  showMessages(messages, findFirstNew(snapshot));
  shown.isLoading = loading;
  showHints(snapshot);
  keepPlace(place);
  noteRead();
  fillPane();
}

/** Screen readers read aloud what is said from now on, and no page of the history. */
function showMessages(messages, firstNew) {
  const list = find("messages");
  const known = list.children.length;
  const show = (child, message, before) => showMessage(child, message, before, message === firstNew, shown.room);
  keepFocus(() => showList(list, messages, ({ key }) => key, makeMessage, show));
  if (shown.isLoading) list.setAttribute("aria-live", "off");
  else if (list.children.length > known) list.setAttribute("aria-live", "polite");
}

function showHints({ messages, hasOlder, loading, error, status, typingUsers }) {
  find("beginning").hidden = hasOlder || loading || Boolean(error) || !messages.length;
  find("nothing").hidden = status !== "joined" || loading || Boolean(error) || messages.length > 0;
  find("gone").hidden = status !== "gone";
  showTyping(typingUsers);
}

/** What others say while the first page of the history is loaded is shown together with it, so that nothing jumps. */
function isTooEarly({ messages, loading }) {
  return loading && !find("messages").children.length && messages.every(({ mine }) => !mine);
}

/** The line "New" stands where one has stopped reading, and stays while one looks. What one sees coming is not new. */
function findFirstNew({ messages, lastReadSeq, unread }) {
  if (unread && (shown.mark === null ? !isReading() : !isLooking())) shown.mark = lastReadSeq;
  return shown.mark === null ? undefined : messages.find(({ seq, mine }) => seq > shown.mark && !mine);
}

/** What is at the top of the list, and how far the end of the list is from the upper edge of what is in sight. */
function notePlace() {
  const top = [find("messages").firstElementChild?.dataset.key, find("beginning").hidden].join();
  return { top, distance: scroller.scrollHeight - scroller.scrollTop };
}

/** What was put on top leaves in sight what was in sight; new messages at the end are followed. */
function keepPlace({ top, distance }) {
  if (wasAtEnd) jumpToEnd();
  else if (notePlace().top !== top) scroller.scrollTop = scroller.scrollHeight - distance;
  find("newer").hidden = isAtEnd() || !shown.room.unread;
}

/** While another pane is shown, this one has no height, and stays where it was. */
function isAtEnd() {
  if (!scroller.clientHeight) return wasAtEnd;
  return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR;
}

function isReading() {
  return shown.isOpened && isLooking() && isAtEnd();
}

function isLooking() {
  return isVisible() && document.hasFocus() && scroller.clientHeight > 0;
}

function jumpToEnd() {
  wasAtEnd = true; // which is where it goes when it has a height again
  scroller.scrollTop = scroller.scrollHeight;
}

function loadOlder() {
  if (!shown) return;
  wasAtEnd = isAtEnd();
  const { hasOlder, loading } = shown.room.getSnapshot();
  if (scroller.scrollTop < NEAR && hasOlder && !loading) shown.room.loadOlder().catch(() => {});
}

/** Where nothing can be scrolled, older messages come by themselves. */
function fillPane() {
  const isFull = scroller.scrollHeight > scroller.clientHeight;
  if (scroller.clientHeight && !isFull && !shown.room.error) loadOlder();
}

/** What has failed may be the newest messages, or older ones at the top. */
async function loadAgain() {
  scroller.focus(); // the button goes
  await shown.room.reload();
  if (!shown.room.error) loadOlder();
}

function noteRead() {
  if (!shown || !isReading()) return;
  if (shown.room.unread) shown.room.markRead();
  find("newer").hidden = true;
}

function showTyping(users) {
  const names = listNames(users.slice(0, 2).map(nameOf));
  const text = users.length > 2 ? gettext("Several people are typing…") : sayTyping(users.length, names);
  setText(find("typing"), text);
}

function sayTyping(count, names) {
  return count ? fill(ngettext("%(names)s is typing…", "%(names)s are typing…", count), { names }) : "";
}
