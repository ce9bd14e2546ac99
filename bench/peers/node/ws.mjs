// The broadcast of the README of `ws`: a loop over all clients. Saves nothing.

import { WebSocket, WebSocketServer } from "ws";

import { chatFrame, connectedFrame } from "./frames.mjs";

const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]) });

server.on("connection", (socket, request) => {
  const userId = Number(request.url.split("/").pop());
  socket.on("error", console.error);
  socket.on("message", (data) => {
    const text = JSON.stringify(chatFrame(userId, JSON.parse(data).message));
    for (const client of server.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(text);
    }
  });
  socket.send(JSON.stringify(connectedFrame(userId)));
});
