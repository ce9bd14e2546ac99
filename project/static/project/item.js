/** One notification in the list of the inbox. */

import { realtime } from "./client.js";
import { clone, part, safeAddress, setText } from "./dom.js";
import { gettext, sayError, timeOrDate } from "./texts.js";

const CHANNELS = { socket: gettext("Here"), mail: gettext("By mail"), web_push: gettext("By web push") };

export function makeItem(acts) {
  const element = clone("item-piece");
  element.addEventListener("click", ({ target }) => {
    const act = target.closest("[data-act]")?.dataset.act;
    if (act === "why") showWhy(element);
    else if (act === "open") open(element.item, acts);
    else if (act) acts[act](element.item);
  });
  return element;
}

export function showItem(element, item) {
  element.item = item;
  element.classList.toggle("unread", !item.read_at);
  part(element, ".dot").setAttribute("aria-label", item.read_at ? gettext("read") : gettext("unread"));
  setText(part(element, "b"), item.title);
  setText(part(element, ".text"), item.message);
  setText(part(element, "time"), timeOrDate(item.arrived_at));
  part(element, "[data-act=open]").hidden = !safeAddress(item.link);
  setText(part(element, "[data-act=toggle]"), item.read_at ? gettext("Unread") : gettext("Read"));
  setText(part(element, "[data-act=archive]"), item.archived_at ? gettext("To the inbox") : gettext("Archive"));
  setText(part(element, "[data-act=snooze]"), item.snoozed_until ? gettext("Wake") : gettext("Snooze"));
}

function open(item, acts) {
  acts.read(item);
  window.open(safeAddress(item.link), "_blank", "noopener");
}

function explain({ channel, text }) {
  return Object.assign(document.createElement("span"), { textContent: `${CHANNELS[channel] ?? channel}: ${text}` });
}

async function showWhy(element) {
  const why = part(element, ".why");
  why.hidden = !why.hidden;
  if (why.hidden) return;
  try {
    const { channels } = await realtime.rest("GET", `/notifications/${element.item.id}/explain`);
    why.replaceChildren(...channels.map(explain));
  } catch (error) {
    why.textContent = sayError(error) || gettext("That did not work");
  }
}
