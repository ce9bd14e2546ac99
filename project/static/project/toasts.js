/** Short news at the edge. They go by themselves, but not while the pointer or the focus is on them (see the CSS). */

import { clone, find, keepFocus, part } from "./dom.js";

const MOST = 4;

/** `act` is a button: its `label`, and what it does. */
export function showToast(title, text, act) {
  const toast = clone("toast-piece");
  part(toast, "b").textContent = title;
  part(toast, "span").textContent = text ?? "";
  part(toast, ".close").addEventListener("click", () => keepFocus(() => toast.remove()));
  toast.addEventListener("animationend", ({ animationName }) => animationName === "wait" && toast.remove());
  if (act) addAct(toast, act);
  find("toasts").append(toast);
  if (find("toasts").children.length > MOST) part(find("toasts"), ".toast:not(:hover, :focus-within)").remove();
}

/** What toasts have offered until now can no longer be done. */
export function endActs() {
  for (const button of find("toasts").querySelectorAll(".act")) button.hidden = true;
}

function addAct(toast, { label, run }) {
  const button = part(toast, ".act");
  button.hidden = false;
  button.textContent = label;
  button.addEventListener("click", () => {
    keepFocus(() => toast.remove());
    run();
  });
}
