/** The entry of the demo's page. `/?as=bob` signs in as Bob; the space is loaded when somebody is. */

import { login } from "./login.js";
import { enter, showSpace, startWelcome } from "./welcome.js";

const wanted = new URLSearchParams(location.search).get("as");

startWelcome();
if (wanted) await enter(wanted);
else if (login) await showSpace();
