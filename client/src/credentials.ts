/** The site's credential callback: one call at a time, for a limited time, and the last token for requests. */

import { Unauthorized } from "./errors.js";
import type { Credential, CredentialSource, OpenRequest } from "./types.js";

type Given = Awaited<ReturnType<CredentialSource>>;

export class Credentials {
  /** The last access token; empty where the session cookie counts, undefined while nobody has asked. */
  declare token: string | undefined;
  /** Ends in time. */
  declare limited: (() => Promise<Given>) | undefined;
  /** What is asked: the same, or a call that waits for those of other tabs. */
  declare callback: (() => Promise<Given>) | undefined;
  /** Rejects when a call has taken too long. */
  declare expire: () => Promise<never>;
  #onUnauthorized: () => void;
  #asking: Promise<Partial<Credential>> | undefined;

  /** `onUnauthorized` is called when nobody is logged in, whoever has asked. */
  constructor(source: CredentialSource | undefined, limitMs: number, onUnauthorized: () => void) {
    this.expire = () => new Promise((_, reject) => setTimeout(reject, limitMs, new Error("TIMEOUT")));
    if (source) this.callback = this.limited = async () => Promise.race([source(), this.expire()]);
    this.#onUnauthorized = onUnauthorized;
  }

  /** A new credential; an empty one is the session cookie. Whoever asks meanwhile gets the same one. */
  ask(): Promise<Partial<Credential>> {
    const isCurrent = (): boolean => asking === this.#asking;
    const ask = async (): Promise<Partial<Credential>> => {
      try {
        const given = await this.callback?.();
        const credential = typeof given === "string" ? { token: given } : (given ?? {});
        if (isCurrent()) this.token = credential.token ?? "";
        return credential;
      } catch (error) {
        if (isCurrent() && error instanceof Unauthorized) this.#onUnauthorized();
        throw error;
      } finally {
        if (isCurrent()) this.#asking = undefined;
      }
    };
    const asking: Promise<Partial<Credential>> = (this.#asking ??= ask());
    return asking;
  }

  /** The user has changed: what was given, or comes late, is of the first one. */
  clear(): void {
    this.token = this.#asking = undefined;
  }
}

/** How a credential goes out: a ticket in the address, a token as a protocol, and the cookie by itself. */
export function makeRequest(url: string, { ticket, token }: Partial<Credential>): OpenRequest {
  return {
    url: ticket ? `${url}${url.includes("?") ? "&" : "?"}ticket=${encodeURIComponent(ticket)}` : url,
    protocols: ticket || !token ? ["realtime.v1"] : ["realtime.v1", `bearer.${token}`],
  };
}
