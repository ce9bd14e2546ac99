/** What views show before anything is known, and on a server that renders pages. Used by the adapters. */

import type { InboxSnapshot, PresenceSnapshot, RoomSnapshot, State } from "../types.js";

export const STATE: State = { status: "idle", reason: "", code: 0, retryAt: null, transport: "" };
export const ROOM: RoomSnapshot = {
  status: "idle",
  title: "",
  role: null,
  messages: [],
  hasOlder: false,
  loading: false,
  typingUsers: [],
  lastReadSeq: null,
  unread: null,
  error: null,
};
export const PRESENCE: PresenceSnapshot = { onlineCount: null, users: {} };
export const INBOX: InboxSnapshot = {
  items: [],
  counts: { unread: 0, unseen: 0 },
  filter: {},
  hasMore: false,
  loading: false,
  error: null,
};
