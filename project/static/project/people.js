/** Who is here. The list comes with the page; the statuses come from the server. */

import { realtime } from "./client.js";
import { find, part, setText } from "./dom.js";
import { login } from "./login.js";
import { fill, gettext } from "./texts.js";

const STATUS = {
  online: gettext("online"),
  away: gettext("away"),
  busy: gettext("busy"),
  offline: gettext("offline"),
};

export function startPeople() {
  const items = [...find("people").children];
  realtime.presence.watch(items.map((item) => Number(item.dataset.userId)));
  realtime.presence.subscribe(() => items.forEach(showStatus));
  realtime.presence.subscribe(showCount);
  find("my-name").textContent = login.name;
  find("my-status").addEventListener("change", ({ target }) => realtime.presence.setStatus(target.value));
  inviteAnother();
}

/** The link to a second window, as the first person that this window is not. */
function inviteAnother() {
  const links = [...find("second-window").children];
  const link = links.find(({ dataset }) => dataset.username !== login.username);
  if (link) link.hidden = false;
}

/** The name under which a user is shown. */
export function nameOf(userId) {
  const item = document.querySelector(`#people [data-user-id="${Number(userId)}"] bdi`);
  return item?.textContent ?? gettext("Somebody");
}

function showStatus(item) {
  const isMe = item.dataset.userId === String(login.user_id);
  const known = realtime.presence.status(Number(item.dataset.userId));
  const status = known ?? "offline";
  item.dataset.status = status;
  if (isMe && known) find("my-status").value = known;
  setText(part(item, ".status"), isMe ? gettext("you") : STATUS[status]);
}

function showCount() {
  const count = realtime.presence.onlineCount;
  setText(find("online-count"), count === null ? "" : fill(gettext("%(count)s online"), { count }));
}
