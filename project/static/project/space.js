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
import { leave } from "./login.js";
import { startNews } from "./news.js";
import { startOrders } from "./orders.js";
import { startPanes } from "./panes.js";
import { startPeople } from "./people.js";
import { startRooms } from "./rooms.js";
import { startTooltips } from "./tooltips.js";

async function signOut() {
  realtime.close();
  await realtime.rest("POST", "/auth/logout").catch(() => {}); // the tokens expire anyway
  leave();
}

export function startSpace() {
  startPill();
  startPanes();
  startPeople();
  startConversation();
  startComposer();
  startRooms();
  startAway();
  startInbox();
  startNews();
  startAnnouncements();
  startOrders();
  startChart();
  startTooltips();
  // While somebody is subscribed to it, the people of the demo talk.
  realtime.topic("demo").join();
  find("sign-out").addEventListener("click", signOut);
  realtime.connect();
}
