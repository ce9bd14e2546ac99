/** The site's credential callback: one call at a time, and the last token for requests. */

import type { Credential, CredentialSource, OpenRequest } from "./types.js";

export class Credentials {
  /** The last access token; empty where the session cookie counts, undefined while nobody has asked. */
  token: string | undefined;
  callback: CredentialSource | undefined;
  #asking: Promise<Partial<Credential>> | undefined;

  constructor(callback?: CredentialSource) {
    this.callback = callback;
  }

  /** A new credential; an empty one is the session cookie. Whoever asks meanwhile gets the same one. */
  ask(): Promise<Partial<Credential>> {
    const asking: Promise<Partial<Credential>> = (this.#asking ??= this.#call().finally(() => {
      if (this.#asking === asking) this.#asking = undefined;
    }));
    return asking;
  }

  /** Stop waiting for a call that takes too long. */
  giveUp(): void {
    this.#asking = undefined;
  }

  async #call(): Promise<Partial<Credential>> {
    const given = await this.callback?.();
    const credential = typeof given === "string" ? { token: given } : (given ?? {});
    this.token = credential.token ?? "";
    return credential;
  }
}

/** How a credential goes out: a ticket in the address, a token as a protocol, and the cookie by itself. */
export function makeRequest(url: string, { ticket, token }: Partial<Credential>): OpenRequest {
  const protocols = ["realtime.v1"];
  if (ticket) url += `${url.includes("?") ? "&" : "?"}ticket=${encodeURIComponent(ticket)}`;
  else if (token) protocols.push(`bearer.${token}`);
  return { url, protocols };
}
