/** The field for a new message. Enter sends, Shift and Enter begin a new line. */

import { find } from "./dom.js";

// Elsewhere, as in Safari 26.0, the field keeps the height of one line.
const growsAlone = CSS.supports("field-sizing", "content");

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
    fill(text, drafts.get(room) ?? "");
  });
  text.addEventListener("input", () => (fit(text), room?.typing(text.value !== "")));
  text.addEventListener("keydown", (event) => {
    // For Safari, a composition has ended with this key, whose code says that it belonged to it.
    const isComposing = event.isComposing || event.keyCode === 229;
    if (event.key !== "Enter" || event.shiftKey || isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  // What sends nothing leaves all others that follow it as they are.
  const drop = (event) => {
    event.preventDefault();
    if (!room || !text.value.trim()) event.stopImmediatePropagation();
  };
  form.addEventListener("submit", drop, { capture: true });
  form.addEventListener("submit", () => {
    // Whether it arrives is shown beside the message.
    room.send(text.value.trim()).catch(() => {});
    fill(text, "");
    text.focus();
  });
  // Where the field becomes narrower, its text has more lines.
  addEventListener("resize", () => fit(text));
}

function fill(text, value) {
  text.value = value;
  fit(text);
}

/** As high as its text, up to the limit in the CSS. */
function fit(text) {
  if (growsAlone) return;
  const { form, style } = text;
  // While it is measured, the messages above it do not move.
  form.style.minHeight = `${form.offsetHeight}px`;
  style.height = "auto";
  const border = text.offsetHeight - text.clientHeight;
  style.height = `${text.scrollHeight + border}px`;
  form.style.minHeight = "";
}
