/** The switch "cut my network": a transport of the page's own, whose sockets all break while the switch is on. */

import { webSocket } from "../realtime/realtime.js";

const LOST = 1006; // what a browser says of a socket that has broken
const lose = new Set(); // for each open socket, what breaks it
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

export function cut(wanted) {
  isCut = wanted;
  if (isCut) for (const breakOff of [...lose]) breakOff();
}
