/** "While you were away": counts what others have written between the loss of the connection and the return. */

import { realtime } from "./client.js";
import { currentRoom, showSince } from "./conversation.js";
import { find, keepFocus } from "./dom.js";
import { cut } from "./network.js";
import { snapshots } from "./rooms.js";
import { fill, ngettext } from "./texts.js";

let before = null; // by room, the last position before the loss; null while nothing was lost

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
  find("missed").addEventListener("click", ({ target }) => {
    keepFocus(hide);
    showSince(Number(target.dataset.seq));
  });
}

function hide() {
  find("missed").hidden = true;
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
  const counts = snapshots().map(({ id, messages }) => countMissed(messages, before[id], streams[`room.${id}`]));
  const count = counts.reduce((sum, number) => sum + number, 0);
  const missed = find("missed");
  missed.dataset.seq = before[currentRoom().id];
  missed.hidden = !count;
  const text = ngettext("While you were away: %(count)s message", "While you were away: %(count)s messages", count);
  missed.textContent = fill(text, { count });
  before = null;
}

/** A stream that was not replayed is loaded again later: its number of events is all that is known. */
function countMissed(messages, since, outcome) {
  if (outcome && !outcome.recovered) return Math.max(0, outcome.seq - since);
  return messages.filter(({ seq, mine }) => seq > since && !mine).length;
}
