/** One socket of the fake server: what travels on it, and what it listens to. Made by `server`. */

import { soon } from "./time.js";
import type { UserId } from "../frames.js";
import type { TransportEvents, TransportSocket } from "../types.js";

export interface Command {
  type: string;
  id?: string;
  [key: string]: any;
}

export class FakeSocket implements TransportSocket {
  readonly streams = new Set<string>();
  user: UserId | null = null;
  isOpen = true;

  constructor(
    private readonly events: TransportEvents,
    private readonly onCommand: (socket: FakeSocket, command: Command) => void,
    private readonly onEnd: (socket: FakeSocket) => void,
  ) {}

  // The client's side

  send(text: string): void {
    soon(() => this.isOpen && this.onCommand(this, JSON.parse(text) as Command));
  }

  close(): void {
    this.isOpen = false;
    this.onEnd(this);
  }

  // The server's side. Frames arrive in a later microtask, as they never arrive inside of `send`.

  deliver(frame: object): void {
    const text = JSON.stringify(frame);
    soon(() => this.isOpen && this.events.message(text));
  }

  end(code: number, reason = ""): void {
    soon(() => {
      if (!this.isOpen) return;
      this.close();
      this.events.close(code, reason);
    });
  }
}
