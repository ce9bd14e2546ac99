/** The entry of the demo's page. */

import { startAnnouncements } from "./announcements.js";
import { startAway } from "./away.js";
import { startChart } from "./chart.js";
import { realtime } from "./client.js";
import { startComposer } from "./composer.js";
import { startPill } from "./connection.js";
import { startConversation } from "./conversation.js";
import { find } from "./dom.js";
import { startInbox } from "./inbox.js";
import { leave, login } from "./login.js";
import { startNews } from "./news.js";
import { startOrders } from "./orders.js";
import { startPanes } from "./panes.js";
import { startPeople } from "./people.js";
import { startRooms } from "./rooms.js";
import { showToast } from "./toasts.js";
import { gettext } from "./texts.js";
import { enter, startWelcome } from "./welcome.js";

function startSpace() {
  startPill();
  startPanes();
  startPeople();
  startConversation();
  startComposer();
  startAway();
  startInbox();
  startNews();
  startAnnouncements();
  startOrders();
  startChart();
  // While somebody is subscribed to it, the people of the demo talk.
  realtime.topic("demo").join();
  find("sign-out").addEventListener("click", () => (realtime.close(), leave()));
  startRooms().catch((error) => showToast(gettext("That did not work"), error.message));
  realtime.connect();
}

const wanted = new URLSearchParams(location.search).get("as");
if (wanted && wanted !== login?.username) enter(wanted);
else if (login) startSpace();
startWelcome();
