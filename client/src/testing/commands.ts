/** What the fake server answers to commands, as `docs/protocol.md` describes it. Called by `server`. */

import type { ErrorCode } from "../frames.js";
import type { FakeServer } from "./server.js";
import type { Command, FakeSocket } from "./socket.js";
import { now, soon } from "./time.js";

type Handler = (server: FakeServer, socket: FakeSocket, command: Command) => object | void;

const HANDLERS: Record<string, Handler> = {
  auth: (server, socket, { token }) => {
    const user = server.findUser({ kind: "token", value: token });
    if (user === null) return server.dismiss(socket, 4401, { reason: "UNAUTHENTICATED" });
    return user === socket.user ? { ...ack(), expires_at: server.expiresAt } : failure("FORBIDDEN");
  },
  batch: (server, socket, { messages }) => {
    for (const message of messages) answer(server, socket, message);
    return ack();
  },
  join: (server, socket, { room_id, since }) => {
    const room = server.rooms.get(room_id);
    if (!room) return failure("NOT_FOUND");
    const stream = `room.${room_id}`;
    socket.streams.add(stream);
    const joined = { type: "joined", room_id, title: room.title, role: "member", seq: server.log.position(stream) };
    if (since === undefined) return joined;
    const { events, outcome } = server.log.replay(stream, since, server.historyOf(stream, since));
    afterwards(() => events.forEach((event) => socket.deliver(event)));
    return { ...joined, ...outcome };
  },
  leave: (_, socket, { room_id }) => {
    socket.streams.delete(`room.${room_id}`);
    return { type: "left", room_id };
  },
  message: (server, socket, command) => server.store(socket.user, command),
  ping: (_, __, { timestamp }) => ({ type: "pong", timestamp: timestamp ?? now() }),
  pong: () => undefined,
  presence: (server, socket, { status, data = {} }) => {
    server.statuses.set(String(socket.user), status);
    server.broadcast({ type: "presence", data: { user_id: socket.user, status, data } }, socket);
    return ack();
  },
  read: (server, socket, { room_id, seq, notification_ids }) => {
    if (notification_ids) server.inbox.read(notification_ids);
    else server.markRead(room_id, seq, socket);
    return ack();
  },
  resume: (server, socket, { streams }) => {
    const outcomes: Record<string, object> = {};
    for (const [stream, since] of Object.entries(streams as Record<string, number>)) {
      const { events, outcome } = server.log.replay(stream, since, server.historyOf(stream, since));
      socket.streams.add(stream);
      events.forEach((event) => socket.deliver(event));
      outcomes[stream] = outcome;
    }
    return { type: "resumed", streams: outcomes };
  },
  subscribe: (server, socket, { topic }) => {
    socket.streams.add(`topic.${topic}`);
    const last = server.topics.get(topic);
    if (last) afterwards(() => socket.deliver(last));
    return { type: "subscribed", topic, seq: 0 };
  },
  typing: (server, socket, { data }) => {
    server.broadcast({ type: "typing", data: { ...data, user_id: socket.user } }, socket);
    return ack();
  },
  unsubscribe: (_, socket, { topic }) => {
    socket.streams.delete(`topic.${topic}`);
    return { type: "unsubscribed", topic };
  },
};

/** Execute a command, and send its answer to the socket. */
export function answer(server: FakeServer, socket: FakeSocket, command: Command): void {
  const { type, id } = command;
  const handler = Object.hasOwn(HANDLERS, type) ? HANDLERS[type] : undefined;
  const refused = server.takeFailure(type);
  const reply = refused ?? (handler ? handler(server, socket, command) : failure("UNKNOWN_MESSAGE_TYPE"));
  if (!reply || ("type" in reply && reply.type === "ack" && id === undefined)) return;
  socket.deliver(id === undefined ? reply : { ...reply, id });
}

export function failure(code: ErrorCode, more: object = {}): object {
  return { type: "error", error_code: code, message: `Refused: ${code}.`, timestamp: now(), ...more };
}

export function ack(more: object = {}): object {
  return { type: "ack", status: "ok", timestamp: now(), ...more };
}

/** After the answer, which is sent in this microtask. */
function afterwards(send: () => void): void {
  soon(send);
}
