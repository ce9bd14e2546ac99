/** The site's credential callback: one call at a time, and the last token for requests. */

import type { Credential, CredentialSource, OpenRequest } from "./types.js";

export class Credentials {
  /** The last access token; null where the session cookie counts, undefined while nobody has asked. */
  token: string | null | undefined;
  source: CredentialSource | undefined;
  #asking: Promise<Credential | null> | undefined;

  constructor(source?: CredentialSource) {
    this.source = source;
  }

  /** A new credential; null: the session cookie. Whoever asks meanwhile gets the same one. */
  ask(): Promise<Credential | null> {
    if (this.#asking) return this.#asking;
    const asking = this.#call().finally(() => {
      if (this.#asking === asking) this.#asking = undefined;
    });
    return (this.#asking = asking);
  }

  /** Stop waiting for a call that takes too long. */
  forget(): void {
    this.#asking = undefined;
  }

  async #call(): Promise<Credential | null> {
    const given = (await this.source?.()) ?? null;
    const credential = typeof given === "string" ? { ticket: "", token: given } : given;
    this.token = credential?.token ?? null;
    return credential;
  }
}

/** How a credential goes out: a ticket in the address, a token as a protocol, and the cookie by itself. */
export function makeRequest(url: string, credential: Credential | null): OpenRequest {
  const { ticket, token } = credential ?? {};
  const protocols = ["realtime.v1"];
  if (ticket) return { url: `${url}${url.includes("?") ? "&" : "?"}ticket=${encodeURIComponent(ticket)}`, protocols };
  if (token) protocols.push(`bearer.${token}`);
  return { url, protocols };
}
