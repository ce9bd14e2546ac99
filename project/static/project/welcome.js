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
  }
}
