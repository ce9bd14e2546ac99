/** The switch "cut my network": a transport that hands out no sockets while it is on. */

import { webSocketTransport } from "../realtime/realtime.js";

const LOST = 1006; // what a browser says of a socket that has broken
const open = new Map(); // by the real socket, the events of the library
let isCut = false;

export const transport = {
  name: webSocketTransport.name,
  open(request, events) {
    if (isCut) return refuse(events);
    const socket = webSocketTransport.open(request, {
      ...events,
      message: (text) => events.message(text),
      close(code, reason) {
        open.delete(socket);
        events.close(code, reason);
      },
    });
    open.set(socket, events);
    return { send: (text) => socket.send(text), close: () => (open.delete(socket), socket.close()) };
  },
};

export function cut(wanted) {
  isCut = wanted;
  if (!isCut) return;
  for (const [socket, events] of open) {
    socket.close();
    events.close(LOST, "");
  }
  open.clear();
}

function refuse(events) {
  const timer = setTimeout(() => events.close(LOST, ""));
  return { send() {}, close: () => clearTimeout(timer) };
}
