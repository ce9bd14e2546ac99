/** The transport that every browser has: a WebSocket. */

import type { OpenRequest, Transport, TransportEvents, TransportSocket } from "./types.js";

export const webSocket: Transport = {
  name: "websocket",

  open({ url, protocols }: OpenRequest, events: TransportEvents): TransportSocket {
    const socket = new WebSocket(url, protocols);
    socket.onmessage = ({ data }) => events.message(data);
    socket.onclose = ({ code, reason }) => events.close(code, reason);
    return {
      send: (text) => socket.send(text),
      close() {
        socket.onmessage = socket.onclose = null;
        socket.close();
      },
    };
  },
};
