/** With what a socket was opened: read from its address and its protocols. Used by `server`. */

/** What a socket was opened with. */
export interface FakeCredential {
  kind: "session" | "token" | "ticket";
  value: string;
}

export function readCredential(url: string, protocols: readonly string[]): FakeCredential {
  const query = new URL(url).searchParams;
  const bearer = protocols.find((protocol) => protocol.startsWith("bearer."));
  if (bearer) return { kind: "token", value: bearer.slice("bearer.".length) };
  for (const kind of ["token", "ticket"] as const) {
    const value = query.get(kind);
    if (value !== null) return { kind, value };
  }
  return { kind: "session", value: "" };
}
