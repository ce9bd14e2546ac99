/**
 * A connection that comes back: the state machine behind `Link`. `#open` is the only door to the network.
 *
 * It knows frames that concern the socket and its streams, and hands on everything else.
 */

import type { AuthExpiring, Connected, ConnectedData, Disconnect, UserId } from "./frames.js";
import { Deadlines } from "./deadlines.js";
import { Unauthorized } from "./errors.js";
import { report } from "./events.js";
import { isOffline } from "./lifecycle.js";
import { IDLE, type Link, type LinkEvents, type Sent } from "./link.js";
import type { Settings } from "./settings.js";
import { makeGap, type Positions, Streams } from "./streams.js";
import type { Answer, Credential, State, TransportSocket } from "./types.js";
import { choosePause, judge, type Verdict } from "./verdict.js";

/** How long a socket has to live before the next pause is a short one again. */
const STABLE_MS = 10_000;
/** The answer of a command that was refused for now comes without a time. */
const RESUME_AGAIN_MS = 2_000;
const RESUME = "resume";
const AUTH = "auth";
const TOPIC = "topic-";

/** `resting`: nothing happens until `connect` or `restore`. */
type Phase = "resting" | "opening" | "online" | "waiting";

export class Connection implements Link {
  readonly streams = new Streams();
  #settings: Settings;
  #events: LinkEvents;
  #phase: Phase = "resting";
  #suspended = false;
  /** Counts attempts, so that what an earlier one has started changes nothing any more. */
  #attempt = 0;
  #failures = 0;
  /** The credential was refused, and no socket has been open since. */
  #refused = false;
  #socket: TransportSocket | undefined;
  #goodbye: Disconnect | undefined;
  #greeting: ConnectedData | undefined;
  #user: UserId | undefined;
  #onlineAt = 0;
  #heardAt = 0;
  /** The server has asked not to be disturbed before. */
  #notBefore = 0;
  #state: State = IDLE;
  /** What is told: a connection that is lost for a moment only still counts as online. */
  #shown: State = IDLE;
  #deadlines = new Deadlines({
    attempt: () => this.#lose("TIMEOUT"),
    silence: () => this.#lose("TIMEOUT"),
    retry: () => void this.#open(),
    resume: () => this.#resume(this.streams.positions),
    grace: () => this.#show(),
  });

  constructor(settings: Settings, events: LinkEvents) {
    this.#settings = settings;
    this.#events = events;
  }

  get state(): State {
    return this.#shown;
  }

  /** What a new listener has to know; undefined while no socket is open. */
  get greeting(): ConnectedData | undefined {
    return this.#greeting && { ...this.#greeting, streams: { ...this.streams.positions } };
  }

  connect(): void {
    this.#suspended = false;
    if (this.#phase === "resting") this.#begin();
    else this.wake();
  }

  close(): void {
    this.#rest({ status: "closed", reason: "CLOSED" });
  }

  signOut(): void {
    this.#forgetUser();
    this.#rest({ status: "signedOut", reason: "SIGNED_OUT" });
  }

  wake(): void {
    this.#deadlines.check();
    const now = Date.now();
    if (this.#phase === "waiting" && now >= this.#notBefore) void this.#open();
    // A socket that was just heard is alive; of another one nobody knows.
    else if (this.#phase === "online" && now > this.#heardAt + 1000) this.#probe();
  }

  suspend(): void {
    if (this.#phase === "resting") return;
    this.#end();
    this.#phase = "resting";
    this.#suspended = true;
  }

  restore(): void {
    if (!this.#suspended) return this.wake();
    this.connect();
  }

  transmit(command: Sent): boolean {
    if (this.#phase !== "online") return false;
    this.#socket!.send(JSON.stringify(command));
    return true;
  }

  /** Listen to what somebody else has listened to before, from their positions on. */
  adopt(positions: Positions, topics: Iterable<string>): void {
    const added = this.streams.adopt(positions);
    if (Object.keys(added).length) this.#resume(added);
    for (const topic of topics) {
      if (!this.streams.topics.has(topic)) this.#subscribe(topic);
      this.streams.topics.add(topic);
    }
  }

  // Opening

  #begin(): void {
    this.#failures = 0;
    this.#refused = false;
    this.#notBefore = 0;
    void this.#open();
  }

  /** The one door to the network: asks for a credential, and opens a socket with it. */
  async #open(): Promise<void> {
    const attempt = this.#end();
    const { credentials, limits, transport, url } = this.#settings;
    this.#phase = "opening";
    this.#change({ status: "connecting", retryAt: null, transport: transport.name });
    this.#deadlines.set("attempt", limits.credentialMs);
    try {
      const credential = await credentials.ask();
      if (attempt !== this.#attempt) return;
      this.#deadlines.set("attempt", limits.connectMs);
      this.#socket = transport.open(address(url, credential), {
        message: (text) => attempt === this.#attempt && this.#receive(JSON.parse(text)),
        close: (code, reason) => attempt === this.#attempt && this.#lose(reason || "NETWORK", code),
      });
    } catch (error) {
      if (attempt === this.#attempt) this.#fail(error);
    }
  }

  /** The callback, or the transport itself, has raised. */
  #fail(error: unknown): void {
    if (error instanceof Unauthorized) return this.#leave("UNAUTHORIZED");
    report(error);
    this.#lose("CREDENTIAL");
  }

  /** Let go of the socket and of all that is planned. Returns the number of the next attempt. */
  #end(): number {
    this.#socket?.close();
    this.#socket = this.#goodbye = this.#greeting = undefined;
    this.#deadlines.clear("attempt", "silence", "retry", "resume");
    return ++this.#attempt;
  }

  // Losing

  /** The socket has ended, is dead, or could not be opened: decide by the server's words how to go on. */
  #lose(reason: string, code = 0): void {
    const goodbye = this.#goodbye;
    const lived = this.#phase === "online" && Date.now() - this.#onlineAt >= STABLE_MS;
    if (lived) this.#failures = 0;
    if (!code && this.#phase === "opening") this.#settings.credentials.forget();
    this.#end();
    const end = { reason: goodbye?.reason ?? reason, code: goodbye?.code ?? code };
    this.#follow(judge(end.code, goodbye), end, goodbye?.retry_after_ms ?? 0);
  }

  #follow(verdict: Verdict, end: { reason: string; code: number }, retryAfterMs: number): void {
    if (verdict === "out") return this.#leave(end.reason, end.code);
    if (verdict === "stop") return this.#rest({ status: "closed", ...end });
    if (verdict === "again") return this.#wait(end, retryAfterMs);
    // The cookie is what it is. And a new credential that is refused as well was no help.
    if (!this.#settings.credentials.source || this.#refused) return this.#leave(end.reason, end.code);
    this.#refused = true;
    if (this.#failures) return this.#wait(end, retryAfterMs);
    this.#failures++;
    this.#change(end);
    void this.#open();
  }

  #wait(end: { reason: string; code: number }, retryAfterMs: number): void {
    const { firstPauseMs, longestPauseMs } = this.#settings.limits;
    const pause = retryAfterMs || choosePause(this.#failures++, firstPauseMs, longestPauseMs);
    this.#notBefore = retryAfterMs ? Date.now() + retryAfterMs : 0;
    this.#phase = "waiting";
    const retryAt = this.#deadlines.set("retry", pause);
    this.#change({ ...end, status: isOffline() ? "offline" : "waiting", retryAt });
  }

  #leave(reason: string, code = 0): void {
    this.#forgetUser();
    this.#rest({ status: "signedOut", reason, code });
  }

  #rest(end: Partial<State>): void {
    this.#end();
    this.#phase = "resting";
    this.#suspended = false;
    this.#change({ code: 0, ...end, retryAt: null });
  }

  #forgetUser(): void {
    this.#user = undefined;
    this.streams.clear();
    this.#settings.credentials.token = undefined;
  }

  // What is shown

  #change(changes: Partial<State>): void {
    this.#state = { ...this.#state, ...changes };
    const passing = ["connecting", "waiting", "offline"].includes(this.#state.status);
    if (!passing || this.#shown.status !== "online") return this.#show();
    if (!this.#deadlines.has("grace")) this.#deadlines.set("grace", this.#settings.limits.graceMs);
  }

  #show(): void {
    this.#deadlines.clear("grace");
    this.#shown = this.#state;
    this.#events.state(this.#shown);
  }

  // Frames

  #receive(frame: Answer): void {
    this.#heardAt = Date.now();
    if (frame.type === "batch") return frame["messages"].forEach((one: Answer) => this.#receive(one));
    if (this.#greeting) this.#listen();
    if (frame.type === "heartbeat") return void this.transmit({ type: "pong" });
    if (frame.type === "disconnect") return this.#endBy(frame as unknown as Disconnect);
    if (frame.type === "connected") this.#greet((frame as unknown as Connected).data);
    else if (frame.type === "auth_expiring") void this.#extend(frame as unknown as AuthExpiring);
    else if (frame.id === AUTH) return this.#answerAuth(frame);
    else if (frame.type === "error" && frame.id === RESUME) this.#refuseResume(frame);
    else if (frame.type === "error" && frame.id?.startsWith(TOPIC)) this.#refuseTopic(frame);
    this.#hand(frame);
  }

  /** The server's last frame. Its close may be lost on the way, so it is not waited for. */
  #endBy(goodbye: Disconnect): void {
    this.#goodbye = goodbye;
    this.#hand(goodbye as unknown as Answer);
    this.#lose(goodbye.reason, goodbye.code);
  }

  /** Hand on a frame, unless it is an event that has come before. */
  #hand(frame: Answer): void {
    const { stream, seq } = frame as { stream?: string; seq?: number };
    if (stream && seq) {
      const place = this.streams.accept(stream, seq);
      if (place === "old") return;
      if (place === "hole") this.#events.frame(makeGap(stream, seq) as unknown as Answer);
    }
    const gaps = this.streams.note(frame);
    this.#events.frame(frame);
    for (const gap of gaps) this.#events.frame(gap as unknown as Answer);
  }

  #greet(data: ConnectedData): void {
    const { user } = this.#settings;
    if (user !== undefined && String(user) !== String(data.user_id)) return this.#leave("USER_CHANGED");
    if (data.user_id !== this.#user) this.streams.clear();
    this.#user = data.user_id;
    this.#greeting = data;
    this.#phase = "online";
    this.#refused = false;
    this.#onlineAt = Date.now();
    this.#deadlines.clear("attempt");
    this.#listen();
    for (const part of this.streams.begin(data)) this.#resume(part);
    for (const topic of this.streams.topics) this.#subscribe(topic);
    this.#change({ status: "online", reason: "", code: 0, retryAt: null });
    this.#events.ready(this.greeting!);
  }

  /** Two heartbeats without a frame: the connection is dead, and nobody has said so. */
  #listen(): void {
    this.#deadlines.set("silence", 2000 * this.#greeting!.heartbeat_seconds);
  }

  #probe(): void {
    this.transmit({ type: "ping" });
    this.#deadlines.set("silence", this.#settings.limits.probeMs);
  }

  // Streams

  #resume(streams: Positions): void {
    this.transmit({ type: "resume", streams, id: RESUME });
  }

  #subscribe(topic: string): void {
    const since = this.streams.positions[`topic.${topic}`];
    const id = TOPIC + [...this.streams.topics].indexOf(topic);
    this.transmit({ type: "subscribe", topic, id, ...(since !== undefined && { since }) });
  }

  #refuseResume(frame: Answer): void {
    const stream = frame["stream"] as string | undefined;
    // Without a stream, the whole command was refused, and the streams that it has started are silent.
    if (!stream) return void this.#deadlines.set("resume", frame["retry_after_ms"] ?? RESUME_AGAIN_MS);
    this.streams.forget(stream);
    const [, kind, name = ""] = /^(\w+)\.(.*)$/.exec(stream) ?? [];
    if (kind === "room") this.#hand({ type: "left", room_id: name, reason: "REMOVED" });
  }

  #refuseTopic(frame: Answer): void {
    const topic = [...this.streams.topics][Number(frame.id!.slice(TOPIC.length))];
    if (topic && frame["error_code"] === "NOT_FOUND") this.#hand({ type: "unsubscribed", topic, reason: "REMOVED" });
  }

  // The end of the credential

  /** Send a new token before the socket ends. A session is prolonged by itself; a ticket cannot extend a socket. */
  async #extend(_frame: AuthExpiring): Promise<void> {
    const { credentials } = this.#settings;
    const attempt = this.#attempt;
    if (!credentials.source) return;
    try {
      const credential = await credentials.ask();
      const token = credential?.token;
      if (token && attempt === this.#attempt) this.transmit({ type: "auth", token, id: AUTH });
    } catch (error) {
      // With another error the socket ends when its time has come, and the next one asks again.
      if (attempt === this.#attempt && error instanceof Unauthorized) this.#leave("UNAUTHORIZED");
    }
  }

  #answerAuth(frame: Answer): void {
    // The token of another user, perhaps: a socket of its own tells.
    if (frame.type === "error") void this.#open();
  }
}

function address(url: string, credential: Credential | null): { url: string; protocols: string[] } {
  const protocols = ["realtime.v1"];
  if (credential?.ticket) return { url: `${url}${url.includes("?") ? "&" : "?"}ticket=${encodeURIComponent(credential.ticket)}`, protocols };
  if (credential?.token) protocols.push(`bearer.${credential.token}`);
  return { url, protocols };
}
