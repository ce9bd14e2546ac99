/** The REST API, with the credential of the client. */

import { RealtimeError } from "./errors.js";
import type { Settings } from "./settings.js";

const TIMEOUT_MS = 10_000;

export type Rest = <T = any>(method: string, path: string, body?: unknown) => Promise<T>;

/** Rejects with a `RealtimeError`, or with the reason of `signal`, which ends it. */
export async function callRest(
  { api, credentials, csrfToken }: Settings,
  signal: AbortSignal,
  method: string,
  path: string,
  content?: unknown,
): Promise<any> {
  const body = JSON.stringify(content) ?? null;
  const send = async (isExpired: boolean): Promise<Response> => {
    if (isExpired) await credentials.ask();
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
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      body,
    });
  };

  let answer;
  try {
    answer = await send(credentials.token === undefined);
    if (credentials.callback && answer.status === 401) answer = await send(true);
  } catch (error) {
    throw signal.reason ?? new RealtimeError("NETWORK", String(error));
  }
  const given = await answer.json().catch(() => null);
  if (answer.ok) return given;
  const after = 1000 * Number(answer.headers.get("Retry-After")) || 0;
  throw new RealtimeError(given?.code ?? `HTTP_${answer.status}`, given?.detail, after);
}
