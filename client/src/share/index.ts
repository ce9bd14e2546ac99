/** One socket for all tabs: in a SharedWorker, else in the tab that leads, else each tab has its own. */

import { Connection } from "../connection.js";
import type { Link, LinkEvents } from "../link.js";
import type { Settings } from "../settings.js";
import type { Options } from "../types.js";
import { shareBy } from "./tab.js";
import { BUILD, type Kind } from "./wire.js";

export type OpenShared = (settings: Settings, options: Options, events: LinkEvents) => Link | undefined;

/**
 * Without locks nobody would notice that a tab has died. Browsers have them on pages that came over TLS, and deny them
 * in a sandboxed frame, and if the page may store nothing.
 */
export async function prepare(): Promise<OpenShared | undefined> {
  return navigator.locks?.query().then(() => openShared, () => undefined);
}

function openShared(settings: Settings, options: Options, events: LinkEvents): Link | undefined {
  const { worker, transport } = options;
  const { credentials } = settings;
  const { limited } = credentials;
  // Tabs have one session cookie, but each may have a token of another user.
  const isSafe = settings.user !== undefined || !limited;
  if (!isSafe) return undefined;
  const key = `realtime-${BUILD}-${settings.url}-${settings.user ?? ""}`;
  // Tabs ask one after the other: a refresh token that two of them used at once would count as stolen. A call ends in
  // time, and with it the lock, so that one that hangs does not keep the others waiting. A client that was closed comes
  // here again, and the lock is not for twice.
  if (limited) credentials.callback = () => navigator.locks.request(`${key}-credential`, limited);
  // Only tabs for which no worker works need this code.
  const leader: Kind = {
    name: "leader",
    open: async (hear) => (await import("./leader.js")).leadBy(key, settings.transport, hear),
  };
  const kinds = [leader];
  if (worker && !transport && globalThis.SharedWorker) kinds.unshift({
    name: "worker",
    // Rejects if the address is of another origin, or the page's policy forbids it.
    async open(hear, onFailure) {
      // Tabs that name it alike share it.
      const shared = new SharedWorker(worker, { name: key, type: "module" });
      shared.onerror = onFailure;
      shared.port.onmessage = hear;
      return shared.port;
    },
  });
  return new SharedConnection(settings, events, key, kinds);
}

/** A connection of many: signing out in one tab ends all, also those that have no socket at the moment. */
class SharedConnection extends Connection {
  #key: string;
  #channel: BroadcastChannel | undefined;

  constructor(settings: Settings, events: LinkEvents, key: string, kinds: Kind[]) {
    // A page that has heard of the end may have closed the connection.
    const again = (): unknown => this.#channel && this.wake();
    super({ ...settings, transport: shareBy(kinds, settings.transport, again) }, events);
    this.#key = `${key}-signOut`;
  }

  override connect(): void {
    if (!this.#channel) {
      this.#channel = new BroadcastChannel(this.#key);
      this.#channel.onmessage = () => super.signOut();
    }
    super.connect();
  }

  override signOut(reason?: string): void {
    if (!reason) this.#channel?.postMessage("");
    super.signOut(reason);
  }

  override close(): void {
    super.close();
    // A page that has a channel is not kept for the way back.
    this.#channel?.close();
    this.#channel = undefined;
  }
}
