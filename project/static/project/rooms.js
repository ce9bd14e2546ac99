/** The rooms at the side. All are joined, so that what is new is counted; `#room` in the address is shown. */

import { realtime } from "./client.js";
import { openRoom } from "./conversation.js";
import { clone, find, part, setText, showList } from "./dom.js";
import { keepLoaded } from "./loading.js";
import { fill, gettext, ngettext } from "./texts.js";

let rooms = [];

export function startRooms() {
  // With each connection, so that rooms that were created meanwhile are there, too.
  keepLoaded("/rooms", take);
  addEventListener("hashchange", showChosen);
}

function take(answer) {
  rooms = answer.rooms.map((room) => rooms.find(({ id }) => id === room.id) ?? enter(room));
  showChosen();
}

function enter({ id, title }) {
  const room = realtime.room(id);
  room.join();
  room.subscribe(showRooms);
  return { id, title, room };
}

/** Of each room, the snapshot. */
export function snapshots() {
  return rooms.map(({ id, room }) => ({ id, ...room.getSnapshot() }));
}

function showChosen() {
  const chosen = findChosen();
  if (chosen) openRoom(chosen.room, chosen.title);
  showRooms();
}

function findChosen() {
  const find = (wanted) => rooms.find(({ id }) => id === wanted);
  return find(location.hash.slice(1)) ?? find("general") ?? rooms[0];
}

function showRooms() {
  showList(find("rooms"), rooms, ({ id }) => id, makeRoom, showRoom);
}

function makeRoom({ id }) {
  const item = clone("room-piece");
  part(item, "button").addEventListener("click", () => {
    location.hash = id;
    showChosen(); // the browser tells of the new hash later, and what is typed until then is for this room
    document.body.dataset.pane = "conversation";
  });
  return item;
}

function showRoom(item, { id, title, room }) {
  const { unread, status, title: present } = room.getSnapshot();
  const isChosen = findChosen().id === id;
  item.hidden = status === "gone";
  setText(part(item, ".title"), present || title);
  part(item, "button").setAttribute("aria-current", String(isChosen));
  const badge = part(item, ".badge");
  setText(badge, unread ? String(Math.min(unread, 99)) : "");
  const label = ngettext("%(count)s new message", "%(count)s new messages", unread ?? 0);
  badge.title = unread ? fill(label, { count: unread }) : "";
}
