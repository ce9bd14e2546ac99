/** The REST API of the fake server: what the library calls. Used by `server`. */

import type { FakeServer } from "./server.js";
import { now } from "./time.js";

export interface FakeRequest {
  method: string;
  /** Behind `/api/v1`, without the query. */
  path: string;
  query: URLSearchParams;
  headers: Headers;
  body: any;
}

/** Answers a request with JSON; undefined: not this one. Throw a `Refusal` for another status than 200. */
export type Route = (request: FakeRequest, server: FakeServer) => object | undefined;

export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
  ) {
    super(`Refused: ${code}.`);
  }
}

const ROUTES: Route[] = [historyRoute, roomRoute, presenceRoute, inboxRoute, ticketRoute];

export async function respond(server: FakeServer, input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  // In a browser, an address may be relative to that of the page. Node's `Request` accepts none that is.
  const place = globalThis.location?.href ?? server.options.api!;
  const given = new Request(input instanceof Request ? input : new URL(input, place), init);
  given.signal.throwIfAborted();
  const request = await read(given);
  server.requests.push(request);
  if (server.isAway) throw new TypeError("Failed to fetch");
  try {
    for (const route of [...server.routes, ...ROUTES]) {
      const found = route(request, server);
      if (found) return Response.json(found);
    }
    throw new Refusal(404, "NOT_FOUND");
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return Response.json({ detail: error.message, code: error.code }, { status: error.status });
  }
}

async function read(request: Request): Promise<FakeRequest> {
  const { pathname, searchParams } = new URL(request.url);
  const text = await request.text();
  return {
    method: request.method,
    path: pathname.replace(/^.*\/api\/v1/, ""),
    query: searchParams,
    headers: request.headers,
    body: text ? JSON.parse(text) : undefined,
  };
}

function historyRoute({ path, query }: FakeRequest, server: FakeServer): object | undefined {
  const room = /^\/rooms\/([\w-]+)\/messages$/.exec(path)?.[1];
  if (room === undefined && path !== "/messages") return undefined;
  const [after, before] = [Number(query.get("after") ?? 0), Number(query.get("before") ?? Infinity)];
  const limit = Number(query.get("limit") ?? 50);
  const found = server.history(room).filter(({ seq }) => seq > after && seq < before);
  const forward = query.has("after") && !query.has("before");
  const page = forward ? found.slice(0, limit) : found.slice(-limit);
  const more = found.length > page.length;
  return {
    messages: page.toReversed(),
    next_before: more && !forward ? page[0]!.seq : null,
    next_after: more && forward ? page.at(-1)!.seq : null,
  };
}

function roomRoute({ method, path }: FakeRequest, server: FakeServer): object | undefined {
  const id = /^\/rooms\/([\w-]+)$/.exec(path)?.[1];
  if (id === undefined || method !== "GET") return undefined;
  const room = server.rooms.get(id);
  if (!room) throw new Refusal(404, "NOT_FOUND");
  const last = server.log.position(`room.${id}`);
  const read = room.lastRead ?? last;
  return {
    id,
    title: room.title,
    private: false,
    role: "member",
    members_count: 1,
    last_seq: last,
    last_read_seq: read,
    unread: last - read,
    created_at: now(),
  };
}

function presenceRoute({ path, query }: FakeRequest, server: FakeServer): object | undefined {
  const describe = (id: string): object => {
    const status = server.statuses.get(id) ?? "offline";
    const user = /^\d+$/.test(id) ? Number(id) : id;
    return { user_id: user, online: status !== "offline", status, last_seen: null, connections_count: 0 };
  };
  if (path === "/online/count") return { online_count: server.onlineCount };
  if (path === "/status") return (query.get("user_ids") ?? "").split(",").map(describe);
  const one = /^\/status\/(.+)$/.exec(path)?.[1];
  return one === undefined ? undefined : describe(decodeURIComponent(one));
}

function ticketRoute({ method, path }: FakeRequest): object | undefined {
  return method === "POST" && path === "/ws/ticket" ? { ticket: "fake-ticket", expires_in: 30 } : undefined;
}

function inboxRoute({ method, path, query, body }: FakeRequest, server: FakeServer): object | undefined {
  if (path === "/announcements") return { announcements: [] };
  const rest = /^\/notifications(.*)$/.exec(path)?.[1];
  if (rest === undefined) return undefined;
  const { inbox } = server;
  if (method === "GET" && rest === "") return inbox.list(query);
  if (method === "GET" && rest === "/counts") return inbox.counts;
  if (method === "POST" && rest === "/acts") return inbox.act(body.act, body.ids ?? null, body);
  if (method === "POST" && rest === "/undo") return inbox.undo(body.undo);
  const [, id, action, act] = /^\/(\d+)\/(?:actions\/(\w+)|(\w+))$/.exec(rest) ?? [];
  if (method !== "POST" || id === undefined) return undefined;
  return action === undefined ? inbox.act(act!, [Number(id)], body) : inbox.take(Number(id), action);
}

