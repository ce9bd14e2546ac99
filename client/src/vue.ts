/** The entry `./vue`. The client is made outside of Vue; what components need is opened, and closed a moment later. */

import { computed, defineComponent, getCurrentInstance, inject, markRaw, onActivated, onDeactivated, onMounted, provide, shallowRef, toRaw, toValue, triggerRef, watch } from "vue";
import type { ComputedRef, DefineComponent, InjectionKey, MaybeRefOrGetter, PropType, ShallowRef } from "vue";

import { INBOX, PRESENCE, ROOM, STATE } from "./adapters/initial.js";
import { hold } from "./adapters/holding.js";
import type { TopicData, UserId } from "./frames.js";
import type { InboxSnapshot, Notifications, Observable, Off, Presence, PresenceSnapshot } from "./types.js";
import type { Realtime, Room, RoomSnapshot, State } from "./types.js";

export interface Choice {
  /** False: nothing is opened yet. */
  enabled?: MaybeRefOrGetter<boolean>;
}

/** With none, nothing is opened yet: as a route has no id before it is known. */
type Given<T> = MaybeRefOrGetter<T | null | undefined>;

export interface ProviderProps {
  client: Realtime;
  enabled?: boolean | undefined;
}

/** Each value of a snapshot as a reference of its own, so that it can be taken out. */
export type Fields<T> = { readonly [K in keyof T]: ComputedRef<T[K]> };

const CLIENT: InjectionKey<Realtime> = Symbol("realtime");

/** Gives the client to the functions below, and keeps it connected while it is mounted. */
export const RealtimeProvider: DefineComponent<ProviderProps> = defineComponent({
  name: "RealtimeProvider",
  props: {
    client: { type: Object as PropType<Realtime>, required: true },
    enabled: { type: Boolean, default: true },
  },
  setup(props, { slots }) {
    const client = markRaw(toRaw(props.client));
    provide(CLIENT, client);
    useOpen(() => hold(client), () => props.enabled!);
    return () => slots.default?.();
  },
});

export function useRealtime(): Realtime {
  const client = inject(CLIENT, null);
  if (!client) throw new Error("There is no RealtimeProvider above this component.");
  return client;
}

export function useConnection(): Fields<State> {
  const client = useRealtime();
  return split(follow(() => client, STATE));
}

/** Joins the room, and follows everything that is known about it. */
export function useRoom(
  id: Given<string>,
  choice?: Choice,
): Fields<RoomSnapshot> & { room: ComputedRef<Room> } {
  const room = useJoined(id, choice);
  return { ...split(follow(() => room.value, ROOM)), room };
}

type MessageFields = Fields<Pick<RoomSnapshot, "messages" | "hasOlder" | "loading" | "error">>;
type MessageActs = Pick<Room, "send" | "retry" | "discard" | "loadOlder" | "reload">;

/** Joins the room: its messages, and what one does with them. */
export function useMessages(id: Given<string>, choice?: Choice): MessageFields & MessageActs {
  const room = useJoined(id, choice);
  const { messages, hasOlder, loading, error } = split(follow(() => room.value, ROOM));
  return {
    messages,
    hasOlder,
    loading,
    error,
    send: (...content) => room.value.send(...content),
    retry: (clientId) => room.value.retry(clientId),
    discard: (clientId) => room.value.discard(clientId),
    loadOlder: () => room.value.loadOlder(),
    reload: () => room.value.reload(),
  };
}

/** Joins the room: who is typing there, and a function to call at each key. */
export function useTyping(
  id: Given<string>,
  choice?: Choice,
): Fields<Pick<RoomSnapshot, "typingUsers">> & Pick<Room, "typing"> {
  const room = useJoined(id, choice);
  const { typingUsers } = split(follow(() => room.value, ROOM));
  return { typingUsers, typing: (isTyping) => void (room.value.id && room.value.typing(isTyping)) };
}

/** How many are online, and the status of these users. */
export function usePresence(
  users: MaybeRefOrGetter<readonly (UserId | null)[]> = [],
  { enabled = true }: Choice = {},
): Fields<PresenceSnapshot> & { presence: Presence } {
  const { presence } = useRealtime();
  // A list with the same ids is the same list, whether or not it was made anew.
  const key = computed(() => JSON.stringify(toValue(users)));
  useOpen(
    () => presence.watch(JSON.parse(key.value)),
    () => toValue(enabled) && key.value !== "[]",
    () => key.value,
  );
  return { ...split(follow(() => presence, PRESENCE)), presence };
}

/** Loads the inbox, and keeps it up to date. */
export function useNotifications(choice?: Choice): Fields<InboxSnapshot> & { notifications: Notifications } {
  const notifications = useInbox(choice);
  return { ...split(follow(() => notifications, INBOX)), notifications };
}

/** The number of unread notifications, of which 100 stands for more than 99. */
export function useUnread(choice?: Choice): ComputedRef<number> {
  const notifications = useInbox(choice);
  const snapshot = follow(() => notifications, INBOX);
  return computed(() => snapshot.value.counts.unread);
}

/** The last value of a topic; undefined until the first. */
export function useTopic<N extends keyof TopicData>(
  name: Given<N>,
  choice?: Choice,
): Readonly<ShallowRef<TopicData[N] | undefined>>;
export function useTopic<T = unknown>(
  name: Given<string>,
  choice?: Choice,
): Readonly<ShallowRef<T | undefined>>;
export function useTopic(
  name: Given<string>,
  { enabled = true }: Choice = {},
): Readonly<ShallowRef<unknown>> {
  const client = useRealtime();
  const topic = computed(() => client.topic(toValue(name) ?? ""));
  useOpen(
    () => topic.value.join(),
    () => toValue(enabled) && !!toValue(name),
    () => topic.value,
  );
  return follow<unknown>(() => topic.value, undefined);
}

function useJoined(id: Given<string>, { enabled = true }: Choice = {}): ComputedRef<Room> {
  const client = useRealtime();
  const room = computed(() => client.room(toValue(id) ?? ""));
  useOpen(
    () => room.value.join(),
    () => toValue(enabled) && !!toValue(id),
    () => room.value,
  );
  return room;
}

function useInbox({ enabled = true }: Choice = {}): Notifications {
  const { notifications } = useRealtime();
  useOpen(
    () => notifications.open(),
    () => toValue(enabled),
  );
  return notifications;
}

/** Open something while the component is shown and it is enabled, and again when what it is about has changed. */
function useOpen(start: () => Off, enabled: () => boolean, about: () => unknown = () => null): void {
  const isShown = shallowRef(true);
  const isWanted = (): boolean => isShown.value && enabled();
  // A page that `KeepAlive` puts aside is not unmounted.
  onActivated(() => (isShown.value = true));
  onDeactivated(() => (isShown.value = false));
  onMounted(() => {
    watch([isWanted, about], ([wanted], _, onCleanup) => wanted && onCleanup(start()), { immediate: true, flush: "sync" });
  });
}

/** The snapshot of what `source` names. On a server that renders pages, and in its page at first, it is `initial`. */
function follow<T>(source: () => Observable<T>, initial: T): ShallowRef<T> {
  // Where Vue takes over a page of the server, the component has its element already.
  const isServers = !globalThis.document || getCurrentInstance()?.vnode.el;
  const snapshot = shallowRef(isServers ? initial : source().getSnapshot());
  onMounted(() => {
    watch(
      source,
      (store, _, onCleanup) => {
        const update = (): void => void (snapshot.value = store.getSnapshot());
        // The error of a topic is not in its snapshot, which is its value.
        const note = (): void => (snapshot.value === store.getSnapshot() ? triggerRef(snapshot) : update());
        onCleanup(store.subscribe(note));
        update();
      },
      { immediate: true },
    );
  });
  return snapshot;
}

function split<T extends object>(snapshot: ShallowRef<T>): Fields<T> {
  const names = Object.keys(snapshot.value) as (keyof T)[];
  return Object.fromEntries(names.map((name) => [name, computed(() => snapshot.value[name])])) as Fields<T>;
}
