/** The REST API, with the credential of the client. */

import { RealtimeError } from "./errors.js";
import type { Settings } from "./settings.js";

const TIMEOUT_MS = 10_000;

/** `after`: the request waits for it, but is of the user who is there when it is made. */
export type Rest = <T = any>(method: string, path: string, body?: unknown, after?: Promise<unknown>) => Promise<T>;

/** Rejects with a `RealtimeError`, or with the reason of `signal`, which ends it. */
export async function callRest(
  { api, credentials, csrfToken }: Settings,
  signal: AbortSignal,
  method: string,
  path: string,
  content?: unknown,
  after?: Promise<unknown>,
): Promise<any> {
  const body = JSON.stringify(content);
  const send = async (isExpired: boolean): Promise<Response> => {
    // Other tabs may have to be asked before: a request does not wait for all of them.
    if (isExpired) await Promise.race([credentials.ask(), credentials.expire()]);
    const { token } = credentials;
    const headers: Record<string, string> = {};
    // Texts in the language of the page, which need not be that of the browser.
    const lang = globalThis.document?.documentElement.lang;
    if (lang) headers["Accept-Language"] = lang;
    if (body) headers["Content-Type"] = "application/json";
    if (token) headers["Authorization"] = `Bearer ${token}`;
    else if (method !== "GET") headers["X-CSRFToken"] = csrfToken();
    return fetch(api + path, {
      method,
      headers,
      // A request with a token carries no cookies, so nobody else's login can answer it.
      credentials: token ? "omit" : "include",
      // Safari has `any` since 17.4.
      signal: AbortSignal.any?.([signal, AbortSignal.timeout(TIMEOUT_MS)]) ?? signal,
      body,
    });
  };

  let answer, refusal;
  // Meanwhile the user may go. Nobody is asked for a credential then.
  const isFirst = credentials.token === undefined;
  try {
    await after;
    answer = await send(isFirst);
    if (credentials.callback && answer.status === 401) answer = await send(true);
    // An answer that was cut short need not fail: a proxy may have ended it properly.
    if (answer.ok) return JSON.parse((await answer.text()) || "null");
    // That of a proxy has words of its own.
    refusal = await answer.json().catch(() => {});
  } catch (error) {
    throw signal.reason ?? new RealtimeError("NETWORK", String(error));
  }
  const cause = `HTTP_${answer.status}`;
  throw new RealtimeError(
    refusal?.code ?? cause,
    refusal?.detail,
    1000 * Number(answer.headers.get("Retry-After")) || 0,
    // Whether it is over soon, the status says as well: a site has codes of its own.
    cause,
  );
}
