/** A topic of the site: its last value, as long as somebody on the page wants it. */

import type { Hub, Part } from "./hub.js";
import { Retained } from "./retained.js";
import type * as types from "./types.js";

export interface Topic<T> {
  readonly value: T | undefined;
  readonly error: Error | null;
}

export class Topic<T = unknown> extends Retained<any> implements types.Topic<T>, Part {
  declare readonly name: string;
  declare readonly on: any;
  #hub: Hub;

  constructor(hub: Hub, name: string) {
    super({ value: undefined, error: null });
    this.#hub = hub;
    this.name = name;
    this.on = this.on.bind(null, "value");
  }

  override readonly getSnapshot = (): T | undefined => this.value;

  /** Most topics have no stream that could be resumed, so each socket subscribes again. */
  ready(): void {
    if (this.isHeld && this.#hub.greeting)
      this.#hub.send({ type: "subscribe", topic: this.name }).then(
        () => this.update({ error: null }),
        // Without a connection nothing has failed: the topic is subscribed to with the next one.
        (error) => this.update({ value: undefined, error: this.#hub.greeting ? error : null }),
      );
  }

  protected override begin(): void {
    this.ready();
  }

  protected override finish(): void {
    void this.#hub.send({ type: "unsubscribe", topic: this.name });
  }

  reset(): void {
    this.update({ value: undefined, error: null });
  }

  takeFrame({ type, topic, data, reason }: types.Answer): void {
    if (topic !== this.name) return;
    if (reason) this.reset();
    if (type !== "topic") return;
    this.update({ value: data });
    this.emit("value", data);
  }
}
