/** The choice of who this window is. `/?as=bob` has chosen already. */

import { find } from "./dom.js";
import { signIn } from "./login.js";

export function startWelcome() {
  const form = find("sign-in");
  if (!form) return;
  for (const button of form.elements) button.disabled = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    enter(event.submitter.value);
  });
}

export async function enter(username) {
  try {
    await signIn(username);
  } catch (error) {
    document.documentElement.dataset.view = "welcome";
    find("sign-in-error").textContent = error.message;
    return;
  }
  // A page that is loaded again stays who it is.
  history.replaceState(null, "", `/${location.hash}`);
  await showSpace();
}

/** The scripts of the space are loaded when somebody is signed in. */
export async function showSpace() {
  document.documentElement.dataset.view = "space";
  (await import("./space.js")).startSpace();
}
