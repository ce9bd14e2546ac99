/** The entry `./react`. The client is made outside of React; hooks open what they need, and close it a moment later. */

import { createContext, createElement, useContext, useEffect, useMemo, useSyncExternalStore } from "react";
import type { ReactElement, ReactNode } from "react";

import { INBOX, PRESENCE, ROOM, STATE } from "./adapters/initial.js";
import { hold } from "./adapters/holding.js";
import type { TopicData, UserId } from "./frames.js";
import type { InboxSnapshot, Message, Notifications, Observable, Off, Presence, PresenceSnapshot } from "./types.js";
import type { Realtime, Room, RoomSnapshot, State } from "./types.js";

export interface Choice {
  /** False: nothing is opened yet. */
  enabled?: boolean;
}

/** With none, nothing is opened yet: as a route has no id before it is known. */
type Given<T> = T | null | undefined;

export interface ProviderProps extends Choice {
  client: Realtime;
  children?: ReactNode;
}

const Client = createContext<Realtime | null>(null);

/** Gives the client to the hooks below, and keeps it connected while it is mounted. */
export function RealtimeProvider({ client, enabled = true, children }: ProviderProps): ReactElement {
  useOpen(() => hold(client), [client], enabled);
  return createElement(Client.Provider, { value: client }, children);
}

export function useRealtime(): Realtime {
  const client = useContext(Client);
  if (!client) throw new Error("There is no RealtimeProvider above this component.");
  return client;
}

export function useConnection(): State {
  return useStore(useRealtime(), whole, STATE);
}

/** Joins the room, and follows everything that is known about it. */
export function useRoom(id: Given<string>, choice?: Choice): RoomSnapshot & { room: Room } {
  const room = useJoined(id, choice);
  const snapshot = useStore(room, whole, ROOM);
  return useMemo(() => ({ ...snapshot, room }), [snapshot, room]);
}

export interface MessagesView extends Pick<Room, "send" | "retry" | "discard" | "loadOlder" | "reload"> {
  messages: readonly Message[];
  hasOlder: boolean;
  loading: boolean;
  /** Why the room could not be joined or its messages could not be loaded; `reload` tries it again. */
  error: Error | null;
}

/** Joins the room, and follows its messages alone. */
export function useMessages(id: Given<string>, choice?: Choice): MessagesView {
  const room = useJoined(id, choice);
  const messages = useStore(room, (snapshot) => snapshot.messages, ROOM.messages);
  const hasOlder = useStore(room, (snapshot) => snapshot.hasOlder, ROOM.hasOlder);
  const loading = useStore(room, (snapshot) => snapshot.loading, ROOM.loading);
  const error = useStore(room, (snapshot) => snapshot.error, ROOM.error);
  const acts = useMemo(
    () => ({
      send: room.send.bind(room),
      retry: room.retry.bind(room),
      discard: room.discard.bind(room),
      loadOlder: room.loadOlder.bind(room),
      reload: room.reload.bind(room),
    }),
    [room],
  );
  return { messages, hasOlder, loading, error, ...acts };
}

/** Joins the room: who is typing there, and a function to call at each key. */
export function useTyping(id: Given<string>, choice?: Choice): { typingUsers: readonly UserId[]; typing: Room["typing"] } {
  const room = useJoined(id, choice);
  const typingUsers = useStore(room, (snapshot) => snapshot.typingUsers, ROOM.typingUsers);
  const typing = useMemo(() => (isTyping?: boolean) => void (room.id && room.typing(isTyping)), [room]);
  return { typingUsers, typing };
}

/** How many are online, and the status of these users. */
export function usePresence(
  users: readonly (UserId | null)[] = [],
  { enabled = true }: Choice = {},
): PresenceSnapshot & { presence: Presence } {
  const { presence } = useRealtime();
  useOpen(() => presence.watch(users), [presence, JSON.stringify(users)], enabled && users.length > 0);
  const snapshot = useStore(presence, whole, PRESENCE);
  return useMemo(() => ({ ...snapshot, presence }), [snapshot, presence]);
}

/** Loads the inbox, and keeps it up to date. */
export function useNotifications(choice?: Choice): InboxSnapshot & { notifications: Notifications } {
  const notifications = useInbox(choice);
  const snapshot = useStore(notifications, whole, INBOX);
  return useMemo(() => ({ ...snapshot, notifications }), [snapshot, notifications]);
}

/** The number of unread notifications, of which 100 stands for more than 99. */
export function useUnread(choice?: Choice): number {
  return useStore(useInbox(choice), (snapshot) => snapshot.counts.unread, INBOX.counts.unread);
}

/** The last value of a topic; undefined until the first. */
export function useTopic<N extends keyof TopicData>(name: Given<N>, choice?: Choice): TopicData[N] | undefined;
export function useTopic<T = unknown>(name: Given<string>, choice?: Choice): T | undefined;
export function useTopic(name: Given<string>, { enabled = true }: Choice = {}): unknown {
  const client = useRealtime();
  const topic = useMemo(() => client.topic(name ?? ""), [client, name]);
  useOpen(() => topic.join(), [topic], enabled && !!name);
  // The component may show it as well.
  useStore(topic, () => topic.error, null);
  return useStore<unknown, unknown>(topic, whole, undefined);
}

function useJoined(id: Given<string>, { enabled = true }: Choice = {}): Room {
  const client = useRealtime();
  const room = useMemo(() => client.room(id ?? ""), [client, id]);
  useOpen(() => room.join(), [room], enabled && !!id);
  return room;
}

function useInbox({ enabled = true }: Choice = {}): Notifications {
  const { notifications } = useRealtime();
  useOpen(() => notifications.open(), [notifications], enabled);
  return notifications;
}

function useOpen(start: () => Off, dependencies: unknown[], enabled: boolean): void {
  useEffect(() => (enabled ? start() : undefined), [...dependencies, enabled]);
}

function useStore<T, V>(store: Observable<T>, select: (snapshot: T) => V, initial: V): V {
  const subscribe = useMemo(() => store.subscribe.bind(store), [store]);
  return useSyncExternalStore(
    subscribe,
    () => select(store.getSnapshot()),
    () => initial,
  );
}

function whole<T>(snapshot: T): T {
  return snapshot;
}
