/** The switch "cut my network": while it is on, all sockets of a transport of the page's own break, and all requests. */

import { webSocket } from "../realtime/realtime.js";

const LOST = 1006; // what a browser says of a socket that has broken
const lose = new Set(); // for each open socket and each request, what breaks it
const { fetch } = window;
let isCut = false;

export const transport = {
  name: webSocket.name,

  open(request, events) {
    const close = (code, reason) => {
      lose.delete(breakOff);
      events.close(code, reason);
    };
    const socket = isCut ? null : webSocket.open(request, { message: events.message, close });
    const end = () => {
      lose.delete(breakOff);
      socket?.close();
    };
    const breakOff = () => {
      end();
      events.close(LOST, "");
    };
    lose.add(breakOff);
    if (!socket) setTimeout(() => lose.has(breakOff) && breakOff());
    return { send: (text) => socket?.send(text), close: end };
  },
};

window.fetch = (...request) =>
  new Promise((resolve, reject) => {
    const breakOff = () => reject(new TypeError("The network is cut"));
    if (isCut) return breakOff();
    lose.add(breakOff);
    fetch(...request)
      .then(resolve, reject)
      .finally(() => lose.delete(breakOff));
  });

export function cut(wanted) {
  isCut = wanted;
  if (isCut) for (const breakOff of [...lose]) breakOff();
}
