/** The keys of the inbox. They work while it is open and nobody writes. */

import { find } from "./dom.js";

export function listenToKeys(acts) {
  find("show-keys").addEventListener("click", () => find("keys").showModal());
  addEventListener("keydown", (event) => {
    if (find("inbox").hidden || find("keys").open || isWriting(event)) return;
    if (press(event, acts)) event.preventDefault();
  });
}

function isWriting({ target, ctrlKey, metaKey, altKey }) {
  return ctrlKey || metaKey || altKey || target.closest("textarea, select, input:not([type=radio])");
}

/** Whether the key means something here. One that is held goes through the list, and does nothing else. */
function press({ key, repeat }, acts) {
  const items = [...find("items").children];
  const place = items.indexOf(document.activeElement?.closest?.("#items > li"));
  const simple = {
    j: () => items[Math.min(place + 1, items.length - 1)]?.focus(),
    k: () => items[Math.max(place - 1, 0)]?.focus(),
    z: acts.undo,
    "?": () => find("keys").showModal(),
    Escape: acts.close,
  };
  const ofItem = { e: acts.archive, u: acts.toggle, h: acts.snooze };
  if (repeat && !"jk".includes(key)) return false;
  if (simple[key]) simple[key]();
  else if (ofItem[key] && place >= 0) ofItem[key](items[place].item);
  else return false;
  return true;
}
