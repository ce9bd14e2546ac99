/** One message in the list. */

import { clone, linked, paintAvatar, part, setText } from "./dom.js";
import { login } from "./login.js";
import { day, gettext, sayError, time } from "./texts.js";

const TOGETHER_MS = 5 * 60_000; // messages of one person within this time have one name above them
const TICKS = {
  sending: ["◷", gettext("Sending")],
  stored: ["✓", gettext("Stored")],
  failed: ["!", gettext("Not sent")],
};

export function makeMessage(message) {
  const element = clone("message-piece");
  part(element, ".text").replaceChildren(...linked(message.text));
  return element;
}

export function showMessage(element, message, before, isFirstNew, room) {
  // In a long list, one message that comes would cost as much as all of them. What has not changed is the same object.
  const [known, knownBefore, wasFirstNew] = element.shown ?? [];
  if (known === message && knownBefore === before && wasFirstNew === isFirstNew) return;
  element.shown = [message, before, isFirstNew];
  const isNewDay = !before || day(before.sentAt) !== day(message.sentAt);
  element.classList.toggle("mine", message.mine);
  element.classList.toggle("follows", !isNewDay && !isFirstNew && isTogether(before, message));
  element.classList.toggle("first-new", isFirstNew);
  element.dataset.day = isNewDay ? day(message.sentAt) : "";
  element.dataset.new = isFirstNew ? gettext("New") : "";
  element.dataset.status = message.status;
  // A deleted user has no name.
  const name = message.mine ? login.name : message.username || gettext("Somebody");
  setText(part(element, ".author"), name);
  paintAvatar(part(element, ".avatar"), name, message.mine ? login.user_id : message.userId);
  setText(part(element, "time"), time(message.sentAt));
  showTick(part(element, ".tick"), message);
  showFailure(part(element, ".failure"), message, room);
}

function isTogether(before, message) {
  const gap = new Date(message.sentAt) - new Date(before.sentAt);
  return before.userId === message.userId && gap < TOGETHER_MS;
}

function showTick(tick, { mine, status }) {
  const [sign, label] = mine ? TICKS[status] : ["", ""];
  setText(tick, sign);
  tick.toggleAttribute("hidden", !mine);
  if (mine) tick.setAttribute("aria-label", label);
}

function showFailure(failure, { status, error, clientId }, room) {
  failure.hidden = status !== "failed";
  if (failure.hidden) return;
  setText(part(failure, ".reason"), sayError(error) || gettext("Not sent"));
  part(failure, ".retry").onclick = () => room.retry(clientId).catch(() => {});
  part(failure, ".discard").onclick = () => room.discard(clientId);
}
