/** The field for a new message. Enter sends, Shift and Enter begin a new line. */

import { find } from "./dom.js";

export function startComposer() {
  const form = find("composer");
  const text = find("text");
  const drafts = new Map(); // by room, what was written and not sent
  let room = null;

  document.addEventListener("room", ({ detail }) => {
    if (room) drafts.set(room, text.value);
    room?.typing(false);
    room = detail;
    form.querySelector("button").disabled = false;
    text.value = drafts.get(room) ?? "";
  });
  text.addEventListener("input", () => room?.typing(text.value !== ""));
  text.addEventListener("keydown", (event) => {
    // For Safari, a composition has ended with this key, whose code says that it belonged to it.
    const isComposing = event.isComposing || event.keyCode === 229;
    if (event.key !== "Enter" || event.shiftKey || isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!room || !text.value.trim()) return;
    // Whether it arrives is shown beside the message.
    room.send(text.value.trim()).catch(() => {});
    text.value = "";
    text.focus();
  });
}
