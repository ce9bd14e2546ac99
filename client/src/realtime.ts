/** The client of a page: with rooms, topics, presence and notifications. */

import { Client } from "./client.js";
import { Notifications } from "./notifications.js";
import { Presence } from "./presence.js";
import { Room } from "./room.js";
import { Topic } from "./topic.js";
import type * as types from "./types.js";

export class Realtime extends Client implements types.Realtime {
  readonly presence: types.Presence = this.part("presence", () => new Presence(this));
  readonly notifications: types.Notifications = this.part("notifications", () => new Notifications(this));

  room(id: string): types.Room {
    return this.part(`room.${id}`, () => new Room(this, id));
  }

  topic<N extends keyof types.TopicData>(name: N): types.Topic<types.TopicData[N]>;
  topic<T = unknown>(name: string): types.Topic<T>;
  topic<T>(name: string): types.Topic<T> {
    return this.part(`topic.${name}`, () => new Topic<T>(this, name));
  }
}
