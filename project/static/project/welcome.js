/** The choice of who this window is. `/?as=bob` has chosen already. */

import { find } from "./dom.js";
import { canSignIn, signIn } from "./login.js";
import { gettext, sayError } from "./texts.js";

export function startWelcome() {
  const form = find("sign-in");
  if (!form) return;
  if (!canSignIn) return sayFailure(new Error(gettext("The demo needs cookies. Allow them for this site.")));
  const setDisabled = (isDisabled) => {
    for (const button of form.elements) button.disabled = isDisabled;
  };
  setDisabled(false);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { value } = event.submitter;
    // A double click is one choice.
    setDisabled(true);
    await enter(value);
    setDisabled(false);
    event.submitter.focus();
  });
}

export async function enter(username) {
  try {
    await signIn(username);
  } catch (error) {
    return sayFailure(error);
  }
  // A page that is loaded again stays who it is.
  history.replaceState(null, "", `/${location.hash}`);
  await showSpace();
}

/** The scripts of the space are loaded when somebody is signed in. */
export async function showSpace() {
  document.documentElement.dataset.view = "space";
  const space = await import("./space.js").catch(sayFailure);
  space?.startSpace();
}

function sayFailure(error) {
  document.documentElement.dataset.view = "welcome";
  find("sign-in-error").textContent = sayError(error) || gettext("That did not work");
}
