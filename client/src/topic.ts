/** A topic of the site: its last value, as long as somebody on the page wants it. */

import { Store } from "./events.js";
import type { Hub, Part } from "./hub.js";
import { Retained } from "./retained.js";
import type * as types from "./types.js";

export class Topic<T = unknown> implements types.Topic<T>, Part {
  readonly name: string;
  #hub: Hub;
  #store = new Store<{ value?: T | undefined }>({});
  #retained = new Retained(
    () => this.ready(),
    () => void this.#hub.send({ type: "unsubscribe", topic: this.name }),
  );

  constructor(hub: Hub, name: string) {
    this.#hub = hub;
    this.name = name;
  }

  readonly subscribe = (listener: () => void): types.Off => this.#store.subscribe(listener);
  readonly getSnapshot = (): T | undefined => this.#store.getSnapshot().value;

  get value(): T | undefined {
    return this.getSnapshot();
  }

  join(): types.Off {
    return this.#retained.retain();
  }

  on(listener: (value: T) => void): types.Off {
    return this.#store.on("value", listener);
  }

  /** Most topics have no stream that could be resumed, so each socket subscribes again. */
  ready(): void {
    if (this.#retained.held && this.#hub.greeting) void this.#hub.send({ type: "subscribe", topic: this.name });
  }

  reset(): void {
    this.#store.update({ value: undefined });
  }

  frame({ type, topic, data, reason }: types.Answer): void {
    if (topic !== this.name) return;
    if (reason) this.reset();
    if (type !== "topic") return;
    this.#store.update({ value: data });
    this.#store.emit("value", data);
  }
}
