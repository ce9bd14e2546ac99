/** The entry of the demo's page. `/?as=bob` signs in as Bob; the space is loaded when somebody is. */

import { canSignIn, csrfToken, login } from "./login.js";
import { enter, showSpace, startWelcome } from "./welcome.js";

const wanted = new URLSearchParams(location.search).get("as");

addEventListener("click", dropSecond, { capture: true });
addEventListener("keydown", dropHeld, { capture: true });
addEventListener("formdata", complete);
startWelcome();
if (wanted && canSignIn) await enter(wanted);
else if (login) await showSpace();

/** A form leads back to the room. A language is chosen for the person, too: what is pushed to them is in it. */
function complete({ formData }) {
  formData.set("csrfmiddlewaretoken", csrfToken());
  if (formData.has("next")) formData.set("next", `/${login ? `?as=${login.username}` : ""}${location.hash}`);
}

/** The second click of a double click may hit another button, which the first one has let slide under the pointer. */
function dropSecond(event) {
  if (event.detail < 2 || !event.target.closest("button")) return;
  event.preventDefault();
  event.stopPropagation();
}

/** A key that is held on a button is one click. */
function dropHeld(event) {
  if (event.repeat && event.key === "Enter" && event.target.closest("button")) event.preventDefault();
}
