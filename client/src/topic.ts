/** A topic of the site: its last value, as long as somebody on the page wants it. */

import { Listeners, Store } from "./events.js";
import type { Hub, Part } from "./hub.js";
import { Retained } from "./retained.js";
import type * as types from "./types.js";

interface Holder {
  value: unknown;
}

export class Topic<T = unknown> implements types.Topic<T>, Part {
  readonly name: string;
  #hub: Hub;
  #store = new Store<Holder>({ value: undefined });
  #listeners = new Listeners<[T]>();
  #subscribed = false;
  #retained = new Retained(
    () => this.#begin(),
    () => this.#end(),
  );

  constructor(hub: Hub, name: string) {
    this.#hub = hub;
    this.name = name;
  }

  readonly subscribe = (listener: () => void): types.Off => this.#store.subscribe(listener);
  readonly getSnapshot = (): T | undefined => this.#store.getSnapshot().value as T | undefined;

  get value(): T | undefined {
    return this.getSnapshot();
  }

  join(): types.Off {
    return this.#retained.retain();
  }

  on(listener: (value: T) => void): types.Off {
    return this.#listeners.add(listener);
  }

  ready(): void {
    if (!this.#subscribed && this.#retained.held) this.#begin();
  }

  reset(): void {
    this.#subscribed = false;
    this.#store.update({ value: undefined });
  }

  frame(frame: types.Answer): void {
    if (frame["topic"] !== this.name) return;
    if (frame.type === "unsubscribed" && frame["reason"]) this.reset();
    if (frame.type !== "topic") return;
    this.#store.update({ value: frame["data"] });
    this.#listeners.call(frame["data"]);
  }

  #begin(): void {
    this.#subscribed = true;
    this.#hub.send({ type: "subscribe", topic: this.name }).catch(() => (this.#subscribed = false));
  }

  #end(): void {
    if (this.#subscribed) void this.#hub.send({ type: "unsubscribe", topic: this.name });
    this.#subscribed = false;
  }
}
