// A room of Socket.IO with the adapter in memory. Saves nothing.

import { Server } from "socket.io";

import { chatFrame } from "./frames.mjs";

const server = new Server(Number(process.argv[2]), { transports: ["websocket"] });

server.on("connection", (socket) => {
  const userId = Number(socket.handshake.query.user);
  socket.join("bench");
  socket.on("message", ({ message }) => server.to("bench").emit("chat", chatFrame(userId, message)));
});
