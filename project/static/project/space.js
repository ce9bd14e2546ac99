/** The space of somebody who is signed in: starts all its parts. */

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

export function startSpace() {
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
  // The language is chosen for the person, too: what is pushed to them is in it.
  for (const next of document.getElementsByName("next")) next.value = `/?as=${login.username}`;
  startRooms().catch((error) => showToast(gettext("That did not work"), error.message));
  realtime.connect();
}
