/** The switch "cut my network": a transport of the page's own, whose sockets all break while the switch is on. */

const LOST = 1006; // what a browser says of a socket that has broken
const lose = new Set(); // for each open socket, what breaks it
let isCut = false;

export const transport = {
  name: "websocket",

  open({ url, protocols }, events) {
    const socket = isCut ? null : new WebSocket(url, protocols);
    const end = () => {
      lose.delete(breakOff);
      if (socket) socket.onmessage = socket.onclose = null;
      socket?.close();
    };
    const breakOff = () => {
      end();
      events.close(LOST, "");
    };
    lose.add(breakOff);
    if (!socket) setTimeout(() => lose.has(breakOff) && breakOff());
    else {
      socket.onmessage = ({ data }) => events.message(data);
      socket.onclose = ({ code, reason }) => {
        lose.delete(breakOff);
        events.close(code, reason);
      };
    }
    return { send: (text) => socket?.send(text), close: end };
  },
};

export function cut(wanted) {
  isCut = wanted;
  if (isCut) for (const breakOff of [...lose]) breakOff();
}
