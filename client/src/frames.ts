/** The frames that the server sends, as types: an interface for each `type`, named as the server names them. */

/** The frames of a site, by their type. */
export interface SiteFrames {}

/** The `data` of notifications, by their type. */
export interface NotificationData {}

/** The values of topics, by their names. */
export interface TopicData {}

export type UserId = number | string;
/** ISO 8601 in UTC with microseconds: `2025-10-22T10:00:00.123456Z`. */
export type Time = string;
export type Kind = "text" | "image" | "notification";
export type Role = "owner" | "member";
export type Level = "info" | "success" | "warning" | "error";

/** What every stored frame has: its stream and its position there. */
export interface Stored {
  stream: string;
  seq: number;
}

export interface ConnectedData {
  message: string;
  user_id: UserId;
  online_count: number;
  connection_id: string;
  session_id: string;
  expires_at: Time | null;
  heartbeat_seconds: number;
  max_frame_bytes: number;
  typing_seconds: number;
  streams: Record<string, number>;
  protocol: 1;
}

export interface Connected {
  type: "connected";
  data: ConnectedData;
}

export interface Heartbeat {
  type: "heartbeat";
  timestamp: Time;
}

export interface AuthExpiring {
  type: "auth_expiring";
  data: { expires_at: Time; seconds: number };
}

export interface Disconnect {
  type: "disconnect";
  code: number;
  reason: string;
  reconnect: boolean;
  retry_after_ms: number;
}

export interface Batch {
  type: "batch";
  messages: AnyFrame[];
}

export interface Pong {
  type: "pong";
  timestamp: string | number | null;
  id?: string;
}

export interface Ack {
  type: "ack";
  status: "ok";
  message_id?: number;
  seq?: number;
  expires_at?: Time | null;
  timestamp: Time;
  id?: string;
}

export type ErrorCode =
  | "INVALID_JSON"
  | "INVALID_MESSAGE"
  | "UNKNOWN_MESSAGE_TYPE"
  | "MESSAGE_PROCESSING_ERROR"
  | "FORBIDDEN"
  | "NOT_FOUND"
  | "RATE_LIMITED"
  | "CONFLICT"
  | "UNAVAILABLE";

export interface ErrorFrame {
  type: "error";
  error_code: ErrorCode;
  message: string;
  stream?: string;
  reference?: string;
  retry_after_ms?: number;
  timestamp: Time;
  id?: string;
}

export interface Joined {
  type: "joined";
  room_id: string;
  title: string;
  role: Role;
  recovered?: boolean;
  seq: number;
  fetch?: string;
  id?: string;
}

export interface Left {
  type: "left";
  room_id: string;
  reason?: "REMOVED";
  id?: string;
}

export interface RoomUpdated {
  type: "room_updated";
  room_id: string;
  title: string;
  private: boolean;
}

export interface Subscribed {
  type: "subscribed";
  topic: string;
  recovered?: boolean;
  seq: number;
  id?: string;
}

export interface Unsubscribed {
  type: "unsubscribed";
  topic: string;
  reason?: "REMOVED";
  id?: string;
}

export interface StreamOutcome {
  recovered: boolean;
  seq: number;
  fetch?: string;
}

export interface Resumed {
  type: "resumed";
  streams: Record<string, StreamOutcome>;
  id?: string;
}

export interface ChatData {
  from_user_id: UserId | null;
  from_username: string;
  message: string;
  timestamp: Time;
  message_id: number;
  kind: Kind;
  room_id?: string;
  to_user_id?: UserId;
  client_id?: string;
}

export interface HistoryItem extends ChatData {
  seq: number;
}

export interface Chat extends Stored {
  type: "chat";
  data: ChatData;
  timestamp: Time;
}

export interface TopicValue extends Partial<Stored> {
  type: "topic";
  topic: string;
  data: unknown;
  timestamp: Time;
}

export interface Typing {
  type: "typing";
  data: { user_id: UserId; is_typing: boolean; context: string };
}

export interface Presence {
  type: "presence";
  data: { user_id: UserId; status: "online" | "away" | "busy"; data: Record<string, unknown> };
}

export interface UserStatus {
  type: "user_status";
  data: { user_id: UserId; status: "online" | "offline"; timestamp: Time };
}

export interface OnlineCount {
  type: "online_count";
  data: { online_count: number };
}

export interface Read {
  type: "read";
  data: { room_id?: string; seq?: number; unread?: number; notification_ids?: number[] };
}

export type AnyFrame =
  | Connected
  | Heartbeat
  | AuthExpiring
  | Disconnect
  | Batch
  | Pong
  | Ack
  | ErrorFrame
  | Joined
  | Left
  | RoomUpdated
  | Subscribed
  | Unsubscribed
  | Resumed
  | Chat
  | TopicValue
  | Typing
  | Presence
  | UserStatus
  | OnlineCount
  | Read;

export type Act =
  | "seen"
  | "read"
  | "unread"
  | "archive"
  | "unarchive"
  | "snooze"
  | "unsnooze"
  | "delete"
  | "act"
  | "undo"
  | "changed";

export interface Person {
  user_id: UserId;
  name: string;
}

/** A notification. */
export interface Item {
  id: number;
  type: string;
  title: string;
  message: string;
  data: Record<string, unknown>;
  link: string;
  created_at: Time;
  category: string;
  level: Level;
  reason: string;
  actor: Person | null;
  target: { model: string; key: string } | null;
  group: { count: number; last: Person[] } | null;
  actions: { key: string; label: string; link: string }[];
  action: string;
  arrived_at: Time;
  seen_at: Time | null;
  read_at: Time | null;
  archived_at: Time | null;
  snoozed_until: Time | null;
  expires_at: Time | null;
}

/** How many notifications of the inbox are unread and unseen; 100 stands for more than 99. */
export interface Counts {
  unread: number;
  unseen: number;
}

export interface NotificationFrame extends Stored {
  type: "notification";
  notification_type: string;
  data: Item;
  timestamp: Time;
}

export interface InboxFrame extends Stored {
  type: "inbox";
  data: Counts & { act: Act; notification_ids: number[] | null };
}

export interface RemovedFrame extends Stored {
  type: "notification_removed";
  data: Counts & { notification_ids: number[] };
}

export interface WaitingFrame extends Stored {
  type: "notifications_waiting";
  data: Counts & { count: number; since: Time };
}

export interface AnnouncementText {
  language: string;
  title: string;
  message: string;
}

export interface AnnouncementFrame extends Stored {
  type: "announcement";
  data: {
    id: number;
    level: Level;
    link: string;
    closing: "dismiss" | "confirm" | "stay";
    live_at: Time;
    ends_at: Time | null;
    texts: AnnouncementText[];
    fallback: string;
    test: boolean;
  };
  timestamp: Time;
}

export interface AnnouncementChangedFrame extends Stored {
  type: "announcement_changed";
  data: { announcement_id: number; within_ms: number };
}

export interface AnnouncementEndedFrame extends Stored {
  type: "announcement_ended";
  data: { announcement_id: number };
}

export interface AnnouncementStateFrame {
  type: "announcement_state";
  data: {
    announcement_id: number;
    seen_at: Time | null;
    read_at: Time | null;
    dismissed_at: Time | null;
    confirmed_at: Time | null;
  };
}

export type NotificationEvent =
  | NotificationFrame
  | InboxFrame
  | RemovedFrame
  | WaitingFrame
  | AnnouncementFrame
  | AnnouncementChangedFrame
  | AnnouncementEndedFrame
  | AnnouncementStateFrame;
