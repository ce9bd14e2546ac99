/** Parts of a browser: a page's events, and the locks, channels and workers that tabs share. */

import { vi } from "vitest";

import { Host } from "../src/share/host.js";
import type { Transport, TransportSocket } from "../src/index.js";

type Job = () => unknown;

/** Locks of `navigator.locks`: who asks first holds first. */
class FakeLocks {
  #queues = new Map<string, Job[]>();

  request(name: string, ...rest: any[]): Promise<unknown> {
    const [options, job] = rest.length === 2 ? rest : [{}, rest[0]];
    const queue = this.#queues.get(name) ?? [];
    this.#queues.set(name, queue);
    return new Promise((resolve, reject) => {
      const run = async (): Promise<void> => {
        const result = Promise.resolve().then(job);
        await result.catch(() => {});
        if (queue[0] === run) {
          queue.shift();
          void queue[0]?.();
        } // else it was killed, and the next one holds the lock
        resolve(result);
      };
      options.signal?.addEventListener("abort", () => {
        // Only a request that is still waiting can be taken back.
        if (queue.indexOf(run) > 0) reject(queue.splice(queue.indexOf(run), 1));
      });
      queue.push(run);
      if (queue[0] === run) queueMicrotask(() => void run());
    });
  }

  async query(): Promise<object> {
    return {};
  }

  /** The holder has died: what it holds goes to the next one. */
  kill(names: (name: string) => boolean): void {
    for (const [name, queue] of this.#queues) {
      if (!names(name)) continue;
      queue.shift();
      void queue[0]?.();
    }
  }

  get names(): string[] {
    return [...this.#queues].filter(([, queue]) => queue.length).map(([name]) => name);
  }
}

class FakeChannel {
  static all = new Set<FakeChannel>();
  onmessage: ((event: { data: unknown }) => void) | null = null;
  readonly name: string;

  constructor(name: string) {
    this.name = name;
    FakeChannel.all.add(this);
  }

  postMessage(data: unknown): void {
    const copy = structuredClone(data);
    for (const channel of FakeChannel.all)
      if (channel !== this && channel.name === this.name) queueMicrotask(() => channel.onmessage?.({ data: copy }));
  }

  close(): void {
    this.onmessage = null;
    FakeChannel.all.delete(this);
  }
}

export interface FakePage {
  window: EventTarget;
  document: EventTarget & { hidden: boolean; cookie: string; documentElement: { lang: string } };
}

/** A page without content: much faster than a whole DOM. */
export function installPage(): FakePage {
  const document = Object.assign(new EventTarget(), { hidden: false, cookie: "", documentElement: { lang: "" } });
  const page = { window: new EventTarget(), document };
  // A listener of the window that captures hears them, too.
  document.dispatchEvent = (event) => page.window.dispatchEvent(event);
  vi.stubGlobal("window", page.window);
  vi.stubGlobal("document", page.document);
  return page;
}

/** An event of a page that is put aside or shown again. `persisted`: it is kept for the way back. */
export function transition(type: string, persisted = true): Event {
  return Object.assign(new Event(type), { persisted });
}

export interface FakeBrowser {
  locks: FakeLocks;
  /** The names of the workers that were started. */
  workers: string[];
  /** What a page's policy, or a lost file, does to a worker. */
  workerFails: "" | "at once" | "later" | "silently";
  /** False: they have crashed. */
  workersLive: boolean;
}

/** Put the parts into the place of the globals. All sockets are opened with `transport`. */
export function installBrowser(transport: Transport): FakeBrowser {
  const browser: FakeBrowser = { locks: new FakeLocks(), workers: [], workerFails: "", workersLive: true };
  const hosts = new Map<string, Host>();

  class FakeWorker {
    onerror: (() => void) | null = null;
    port: { onmessage: ((event: { data: unknown }) => void) | null; postMessage(data: any): void; close(): void };

    constructor(_address: string, { name }: { name: string }) {
      if (browser.workerFails === "at once") throw new Error("SecurityError");
      if (browser.workerFails === "later") queueMicrotask(() => this.onerror?.());
      browser.workers.push(name);
      if (!hosts.has(name)) hosts.set(name, new Host(transport));
      const post = (data: unknown): void => {
        const copy = structuredClone(data);
        queueMicrotask(() => this.port.onmessage?.({ data: copy }));
      };
      const postMessage = (data: unknown): void => {
        const copy: any = structuredClone(data);
        if (!browser.workerFails && browser.workersLive) queueMicrotask(() => hosts.get(name)!.hear(copy, post));
      };
      this.port = { onmessage: null, postMessage, close: () => (this.port.onmessage = null) };
    }
  }

  class FakeWebSocket {
    onmessage: ((event: { data: string }) => void) | null = null;
    onclose: ((event: { code: number; reason: string }) => void) | null = null;
    #socket: TransportSocket;

    constructor(url: string, protocols: string[]) {
      const message = (data: string): void => this.onmessage?.({ data });
      const close = (code: number, reason: string): void => this.onclose?.({ code, reason });
      this.#socket = transport.open({ url, protocols }, { message, close });
    }

    send(text: string): void {
      this.#socket.send(text);
    }

    close(): void {
      this.#socket.close();
    }
  }

  FakeChannel.all.clear();
  vi.stubGlobal("navigator", { onLine: true, locks: browser.locks });
  vi.stubGlobal("BroadcastChannel", FakeChannel);
  vi.stubGlobal("SharedWorker", FakeWorker);
  vi.stubGlobal("WebSocket", FakeWebSocket);
  return browser;
}
