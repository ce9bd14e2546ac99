/** The rooms at the side. Those at the top are joined, so that news are counted; `#room` in the address is shown. */

import { realtime } from "./client.js";
import { openRoom } from "./conversation.js";
import { clone, find, keepFocus, part, setText, showList } from "./dom.js";
import { keepLoaded } from "./loading.js";
import { atMost99, fill, ngettext } from "./texts.js";

const PAGE = 200;
// A socket may join twice as many. Others are joined while they are shown, and are counted when the list is loaded.
const MOST_COUNTED = 100;
let rooms = []; // as the server has listed them, each with its `room`
let counted = 0; // how many of them are joined for good

export function startRooms() {
  // With each connection, so that rooms that were created meanwhile are there, too.
  keepLoaded(askAll, take);
  addEventListener("hashchange", showChosen);
}

async function askAll() {
  const found = [];
  let page;
  do {
    page = await realtime.rest("GET", `/rooms?limit=${PAGE}&offset=${found.length}`);
    found.push(...page.rooms);
  } while (page.rooms.length === PAGE);
  // A room that is created meanwhile moves another one to the next page.
  return [...new Map(found.map((listed) => [listed.id, listed])).values()];
}

function take(found) {
  const known = new Map(rooms.map(({ id, room }) => [id, room]));
  // One that could not be seen for a while is joined again.
  for (const { id } of found) if (known.get(id)?.status === "gone") known.get(id).reload();
  rooms = found.map((listed) => ({ ...listed, room: known.get(listed.id) ?? enter(listed.id) }));
  showChosen();
}

function enter(id) {
  const room = realtime.room(id);
  if (counted++ < MOST_COUNTED) room.join();
  room.subscribe(() => showOne(id));
  return room;
}

/** Of each room, the snapshot. */
export function snapshots() {
  return rooms.map(({ id, room }) => ({ id, ...room.getSnapshot() }));
}

function showChosen() {
  const chosen = findChosen();
  if (chosen) openRoom(chosen.room, chosen.title);
  // The address is that of the room that is shown, and not of one that cannot be found.
  if (chosen && location.hash && location.hash !== `#${chosen.id}`) history.replaceState(null, "", `#${chosen.id}`);
  showRooms(chosen);
}

function findChosen() {
  const findRoom = (wanted) => rooms.find(({ id }) => id === wanted);
  return findRoom(location.hash.slice(1)) ?? findRoom("general") ?? rooms[0];
}

function showRooms(chosen) {
  showList(find("rooms"), rooms, ({ id }) => id, makeRoom, (item, listed) => showRoom(item, listed, chosen));
  showSum();
}

/** A change of one room costs the same, however many there are. */
function showOne(id) {
  const item = part(find("rooms"), `[data-key="${CSS.escape(id)}"]`);
  const listed = rooms.find((one) => one.id === id);
  if (item && listed) showRoom(item, listed, findChosen());
  showSum();
}

/** A phone shows the list behind a button, which says how much is new in all rooms. */
function showSum() {
  let sum = 0;
  for (const { room, unread } of rooms) if (room.status !== "gone") sum += unread ?? 0;
  showBadge(find("rooms-unread"), sum);
}

function makeRoom({ id }) {
  const item = clone("room-piece");
  part(item, "button").addEventListener("click", () => choose(id));
  return item;
}

export function choose(id) {
  location.hash = id;
  showChosen(); // the browser tells of the new hash later, and what is typed until then is for this room
  keepFocus(() => (document.body.dataset.pane = "conversation"));
}

function showRoom(item, listed, chosen) {
  const { status, title } = listed.room;
  // Of a room that is not joined any more, the next list knows more than the room.
  if (status === "joined") listed.unread = countNew(listed.room) ?? listed.unread;
  item.hidden = status === "gone";
  setText(part(item, ".title"), title || listed.title);
  part(item, "button").setAttribute("aria-current", String(chosen.id === listed.id));
  showBadge(part(item, ".badge"), listed.unread);
}

/** What one has said oneself, here or in another window, is not new. Null until it is known. */
function countNew({ unread, messages, lastReadSeq }) {
  return unread && unread - messages.filter(({ seq, mine }) => mine && seq > lastReadSeq).length;
}

function showBadge(badge, unread) {
  setText(badge, unread ? atMost99(unread) : "");
  const label = ngettext("%(count)s new message", "%(count)s new messages", unread ?? 0);
  badge.title = unread ? fill(label, { count: unread }) : "";
}
