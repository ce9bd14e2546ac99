/**
 * A connection that comes back: the state machine behind `Link`. `#open` is the only door to the network.
 *
 * It knows frames that concern the socket and its streams, and hands on everything else.
 */

import { makeRequest } from "./credentials.js";
import { Deadlines } from "./deadlines.js";
import { Unauthorized } from "./errors.js";
import { report } from "./events.js";
import type { ConnectedData, Disconnect, UserId } from "./frames.js";
import { isOffline } from "./lifecycle.js";
import { IDLE, type Link, type LinkEvents, type Sent } from "./link.js";
import type { Settings } from "./settings.js";
import { makeGap, type Positions, RESUME, Streams } from "./streams.js";
import type { Answer, State, TransportSocket } from "./types.js";
import { choosePause, judge } from "./verdict.js";

/** How long a socket has to live before the next pause is a short one again. */
const STABLE_MS = 10_000;
/** A `resume` that was refused for now, without a time, is sent again after this one. */
const RESUME_AGAIN_MS = 2_000;
/** A socket that was heard a moment ago needs no probe. */
const FRESH_MS = 1_000;
const AUTH = "auth";

export class Connection implements Link {
  #streams = new Streams();
  /** The greeting of the open socket; undefined while none is open. */
  #greeting: ConnectedData | undefined;
  #settings: Settings;
  #events: LinkEvents;
  /** What is true, and what was told last: a connection that is lost for a moment still counts as online. */
  #state = IDLE;
  #told = IDLE;
  /** Counts attempts, so that what an earlier one has started changes nothing any more. */
  #attempt = 0;
  #failures = 0;
  /** The credential was refused, and no socket has been open since. */
  #refused = false;
  #suspended = false;
  #socket: TransportSocket | undefined;
  #user: UserId | undefined;
  #onlineAt = 0;
  #heardAt = 0;
  /** The server has asked not to be disturbed before. */
  #notBefore = 0;
  #deadlines = new Deadlines({
    attempt: () => {
      this.#settings.credentials.giveUp();
      this.#lose("TIMEOUT");
    },
    silence: () => this.#lose("TIMEOUT"),
    retry: () => this.#open(),
    resume: () => this.#resume(this.#streams.positions),
    grace: () => this.#tell(),
  });

  constructor(settings: Settings, events: LinkEvents) {
    this.#settings = settings;
    this.#events = events;
  }

  connect(): void {
    if (!this.#suspended && this.#isActive) return this.wake();
    this.#refused = false;
    this.#failures = this.#notBefore = 0;
    void this.#open();
  }

  close(): void {
    this.#stop("closed", "CLOSED");
  }

  signOut(): void {
    this.#stop("signedOut", "SIGNED_OUT");
  }

  wake(): void {
    if (this.#suspended) return this.connect();
    this.#deadlines.check();
    const now = Date.now();
    if (this.#deadlines.has("retry") && now >= this.#notBefore) void this.#open();
    else if (this.#greeting && now > this.#heardAt + FRESH_MS) {
      this.transmit({ type: "ping" });
      this.#listen(this.#settings.limits.probeMs);
    }
  }

  suspend(): void {
    if (!this.#isActive) return;
    this.#end();
    this.#suspended = true;
  }

  transmit(command: Sent): boolean {
    if (this.#greeting) this.#socket!.send(JSON.stringify(command));
    return Boolean(this.#greeting);
  }

  /** Whether somebody wants a socket. */
  get #isActive(): boolean {
    return !["idle", "signedOut", "closed"].includes(this.#state.status);
  }

  // Opening

  /** The one door to the network: asks for a credential, and opens a socket with it. */
  async #open(): Promise<void> {
    const attempt = this.#end();
    const isCurrent = (): boolean => attempt === this.#attempt;
    const { credentials, limits, transport, url } = this.#settings;
    this.#change({ status: "connecting", retryAt: null, transport: transport.name });
    this.#deadlines.set("attempt", limits.credentialMs);
    try {
      const credential = await credentials.ask();
      if (!isCurrent()) return;
      this.#deadlines.set("attempt", limits.connectMs);
      this.#socket = transport.open(makeRequest(url, credential), {
        message: (text) => isCurrent() && this.#receive(JSON.parse(text)),
        close: (code, reason) => isCurrent() && this.#lose(reason || "NETWORK", code),
      });
    } catch (error) {
      if (isCurrent()) this.#fail(error);
    }
  }

  /** The callback, or the transport itself, has raised. */
  #fail(error: unknown): void {
    if (error instanceof Unauthorized) return this.#stop("signedOut", "UNAUTHORIZED");
    report(error);
    this.#lose("CREDENTIAL");
  }

  /** Let go of the socket and of all that is planned. Returns the number of the next attempt. */
  #end(): number {
    this.#socket?.close();
    this.#socket = this.#greeting = undefined;
    this.#suspended = false;
    this.#deadlines.clear("attempt", "silence", "retry", "resume");
    return ++this.#attempt;
  }

  // Losing

  /** The socket has ended, is dead, or could not be opened: decide by the server's words how to go on. */
  #lose(reason: string, code = 0, goodbye?: Disconnect): void {
    if (this.#greeting && Date.now() - this.#onlineAt >= STABLE_MS) this.#failures = 0;
    this.#end();
    // The cookie is what it is. And a new credential that is refused as well was no help.
    const verdict = judge(code, goodbye, !this.#refused && this.#settings.credentials.callback);
    if (verdict === "signedOut" || verdict === "closed") return this.#stop(verdict, reason, code);
    this.#refused = verdict === "renew";
    if (verdict === "renew" && !this.#failures++) void this.#open();
    else this.#wait({ reason, code }, goodbye?.retry_after_ms);
  }

  #wait(end: Partial<State>, retryAfterMs = 0): void {
    const { firstPauseMs, longestPauseMs } = this.#settings.limits;
    const pause = retryAfterMs || choosePause(this.#failures++, firstPauseMs, longestPauseMs);
    const retryAt = this.#deadlines.set("retry", pause);
    this.#notBefore = retryAfterMs && retryAt;
    this.#change({ ...end, status: isOffline() ? "offline" : "waiting", retryAt });
  }

  #stop(status: "signedOut" | "closed", reason: string, code = 0): void {
    this.#end();
    this.#user = undefined;
    this.#streams.clear();
    this.#change({ status, reason, code, retryAt: null });
  }

  #change(changes: Partial<State>): void {
    this.#state = { ...this.#state, ...changes };
    const passes = ["connecting", "waiting", "offline"].includes(this.#state.status);
    if (!passes || this.#told.status !== "online") this.#tell();
    else if (!this.#deadlines.has("grace")) this.#deadlines.set("grace", this.#settings.limits.graceMs);
  }

  #tell(): void {
    this.#deadlines.clear("grace");
    this.#told = this.#state;
    this.#events.state(this.#told);
  }

  // Frames

  #receive(frame: Answer): void {
    const { type, id, data } = frame;
    this.#heardAt = Date.now();
    if (type === "batch") return frame["messages"].forEach((one: Answer) => this.#receive(one));
    // The socket of another user than the page's is closed, and the page hears nothing of it.
    if (type === "connected" && !this.#greet(data)) return;
    if (this.#greeting) this.#listen(2000 * this.#greeting.heartbeat_seconds);
    if (type === "heartbeat") return void this.transmit({ type: "pong" });
    if (type === "auth_expiring") void this.#extend();
    if (type === "error" && id === RESUME) this.#refuse(frame);
    // The token of another user, perhaps: a socket of its own tells.
    if (type === "error" && id === AUTH) void this.#open();
    this.#hand(frame);
    // The last frame. The close that follows may be lost on the way, so it is not waited for.
    if (type === "disconnect") this.#lose(frame["reason"], frame["code"], frame as unknown as Disconnect);
  }

  /** Hand on a frame, unless it is an event that has come before. */
  #hand(frame: Answer): void {
    const { stream, seq } = frame;
    const place = stream && seq ? this.#streams.accept(stream, seq) : "";
    if (place === "old") return;
    const gaps = place === "hole" ? [makeGap(stream, seq)] : this.#streams.note(frame);
    for (const one of [frame, ...gaps]) this.#events.takeFrame(one as Answer);
  }

  /** Returns false for the socket of a user who is not expected. */
  #greet(data: ConnectedData): boolean {
    const { user } = this.#settings;
    if (user !== undefined && String(user) !== String(data.user_id)) {
      this.#stop("signedOut", "USER_CHANGED");
      return false;
    }
    if (data.user_id !== this.#user) this.#streams.clear();
    this.#user = data.user_id;
    this.#greeting = data;
    this.#refused = false;
    this.#onlineAt = Date.now();
    this.#deadlines.clear("attempt");
    const resumes = this.#streams.begin(data.streams);
    for (const part of resumes) this.#resume(part);
    this.#change({ status: "online", reason: "", code: 0 });
    this.#events.ready({ ...data, streams: { ...this.#streams.positions } }, !resumes.length);
    return true;
  }

  /** After so long without a frame, the connection is dead, and nobody has said so. */
  #listen(ms: number): void {
    this.#deadlines.set("silence", ms);
  }

  #resume(streams: Positions): void {
    this.transmit({ type: RESUME, streams, id: RESUME });
  }

  /** A `resume` was refused: for one stream for good, or as a whole. Then the streams that it has started are silent. */
  #refuse({ stream, retry_after_ms }: Answer): void {
    if (!stream) return void this.#deadlines.set("resume", retry_after_ms ?? RESUME_AGAIN_MS);
    this.#streams.forgetStream(stream);
    if (stream.startsWith("room.")) this.#hand({ type: "left", room_id: stream.slice(5), reason: "REMOVED" });
  }

  /** Send a new token before the socket ends. A session is prolonged by itself; a ticket cannot extend a socket. */
  async #extend(): Promise<void> {
    const { credentials } = this.#settings;
    const attempt = this.#attempt;
    try {
      const token = (await credentials.ask()).token;
      if (token && attempt === this.#attempt) this.transmit({ type: "auth", token, id: AUTH });
    } catch (error) {
      // With another error the socket ends when its time has come, and the next one asks again.
      if (attempt === this.#attempt && error instanceof Unauthorized) this.#fail(error);
    }
  }
}
