/** On a phone, one of three panes is shown. */

import { find } from "./dom.js";

export function startPanes() {
  document.body.dataset.pane = "conversation";
  find("panes").addEventListener("click", ({ target }) => {
    if (target.dataset.pane) document.body.dataset.pane = target.dataset.pane;
  });
  new MutationObserver(markCurrent).observe(document.body, { attributeFilter: ["data-pane"] });
}

function markCurrent() {
  for (const button of find("panes").children) {
    button.setAttribute("aria-current", String(button.dataset.pane === document.body.dataset.pane));
  }
}
