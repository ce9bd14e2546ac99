/** On a phone, one of three panes is shown. A link for keys leads to that of the conversation. */

import { find, part } from "./dom.js";

export function startPanes() {
  document.body.dataset.pane = "conversation";
  find("panes").addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (button) document.body.dataset.pane = button.dataset.pane;
  });
  part(document, ".skip").addEventListener("click", skip);
  new MutationObserver(markCurrent).observe(document.body, { attributeFilter: ["data-pane"] });
}

/** The link as such would put its own hash in the place of that of the room. */
function skip(event) {
  event.preventDefault();
  document.body.dataset.pane = "conversation";
  find("text").focus();
}

function markCurrent() {
  for (const button of find("panes").children) {
    button.setAttribute("aria-current", String(button.dataset.pane === document.body.dataset.pane));
  }
}
