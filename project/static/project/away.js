/** "While you were away": counts what others have written between the loss of the connection and the return. */

import { realtime } from "./client.js";
import { currentRoom, showSince } from "./conversation.js";
import { find, keepFocus, readAloud } from "./dom.js";
import { cut } from "./network.js";
import { choose, snapshots } from "./rooms.js";
import { fill, ngettext } from "./texts.js";

let before = null; // by room, the last position before the loss; null while nothing was lost
let total = 0; // what the button says, while it is shown: of one absence or several
let first = null; // of the rooms in which something was missed, the one that a click shows: its id, and that position

export function startAway() {
  realtime.onState(({ status }) => status !== "online" && noteLoss());
  realtime.on("connected", forgetUnlessResumed);
  realtime.on("resumed", showMissed);
  find("cut").addEventListener("change", ({ target }) => {
    if (target.checked) noteLoss();
    cut(target.checked);
    if (!target.checked) realtime.connect();
  });
  document.addEventListener("room", hide);
  find("composer").addEventListener("submit", hide);
  find("missed").addEventListener("click", () => {
    keepFocus(hide);
    choose(first.id);
    showSince(first.since);
  });
}

function hide() {
  find("missed").hidden = true;
  total = 0;
}

function noteLoss() {
  before ??= Object.fromEntries(snapshots().map((room) => [room.id, lastSeq(room)]));
}

/** Before the first socket there was nothing to lose. And what is joined anew is loaded anew. */
function forgetUnlessResumed() {
  if (!snapshots().some(({ status }) => status === "joined")) before = null;
}

/** As long as the history is not there, nobody knows what of it was missed. */
function lastSeq({ messages, loading, error }) {
  return messages.findLast(({ seq }) => seq !== null)?.seq ?? (loading || error ? Infinity : 0);
}

function showMissed({ streams }) {
  if (!before || !currentRoom()) return;
  const counts = snapshots().map(({ id, messages }) => {
    const since = before[id];
    return { id, since, count: countMissed(messages, since, streams[`room.${id}`]) };
  });
  const missed = counts.filter(({ count }) => count);
  before = null;
  if (!missed.length) return;
  // What was missed before, and not looked at yet, was missed first.
  if (!total) first = missed.find(({ id }) => id === currentRoom().id) ?? missed[0];
  total = missed.reduce((sum, { count }) => sum + count, total);
  showTotal();
}

function showTotal() {
  const text = ngettext("While you were away: %(count)s message", "While you were away: %(count)s messages", total);
  find("missed").textContent = fill(text, { count: total });
  find("missed").hidden = false;
  readAloud(find("missed").textContent);
}

/** A stream that was not replayed is loaded again later: its number of events is all that is known. */
function countMissed(messages, since, outcome) {
  if (outcome && !outcome.recovered) return Math.max(0, outcome.seq - since);
  return messages.filter(({ seq, mine }) => seq > since && !mine).length;
}
