/**
 * A connection that comes back: the state machine behind `Link`. `#open` is the only door to the network.
 *
 * It knows frames that concern the socket and its streams, and hands on everything else.
 */

import { makeRequest } from "./credentials.js";
import { Deadlines } from "./deadlines.js";
import { report } from "./events.js";
import type { ConnectedData, Disconnect, UserId } from "./frames.js";
import { isOffline } from "./lifecycle.js";
import { IDLE, type Link, type LinkEvents } from "./link.js";
import type { Settings } from "./settings.js";
import { type Positions, RESUME, Streams } from "./streams.js";
import type { Answer, Credential, State, TransportSocket } from "./types.js";
import { choosePause, isPassing, judge, UNAUTHENTICATED } from "./verdict.js";

/** How long a socket has to live before the next pause is a short one again. */
const STABLE_MS = 10_000;
const MOST_IN_ONE_RESUME = 250;
/** More than the name of a room or topic takes up in a `resume`, with its position. */
const STREAM_BYTES = 128;
/** The command with a new token, and its id. */
const AUTH = "auth";
/** What was refused for now, without a time, is sent again after this one. */
const AGAIN_MS = 2_000;
/** A socket that was heard a moment ago needs no probe. */
const FRESH_MS = 1_000;

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
  #refused: boolean | undefined;
  #socket: TransportSocket | undefined;
  #user: UserId | undefined;
  #onlineAt!: number;
  #heardAt!: number;
  /** The server has asked not to be disturbed before. */
  #notBefore = 0;
  /** `next`: what happens if nothing is heard; planned as long as a socket is wanted, and the page is not put aside. */
  #deadlines = new Deadlines<"next" | typeof RESUME | typeof AUTH | "grace">();

  constructor(settings: Settings, events: LinkEvents) {
    this.#settings = settings;
    this.#events = events;
  }

  connect(): void {
    if (this.#deadlines.has("next")) return this.wake();
    this.#refused = false;
    this.#failures = this.#notBefore = 0;
    this.#open();
  }

  close(): void {
    this.#end();
    this.#deadlines.cancel("grace");
  }

  signOut(reason = "SIGNED_OUT"): void {
    this.#stop("signedOut", reason);
  }

  wake(): void {
    // Whether somebody wants a socket: connecting, waiting, online or offline.
    if (!/ing|line/.test(this.#state.status)) return;
    if (!this.#deadlines.has("next")) return this.connect();
    this.#deadlines.check();
    // What was due may have closed the connection.
    if (this.#deadlines.has("next") && this.#state.retryAt && Date.now() >= this.#notBefore) this.#open();
    else if (this.#greeting && Date.now() > this.#heardAt + FRESH_MS) {
      this.transmit('{"type":"ping"}');
      this.#listen(this.#settings.limits.probeMs);
    }
  }

  transmit(text: string): void {
    if (this.#greeting) this.#socket!.send(text);
  }

  // Opening

  /** The one door to the network: asks for a credential, and opens a socket with it. */
  #open(): void {
    const attempt = this.#end();
    const { limits, transport, url } = this.#settings;
    // The callback has a limit of its own. But other tabs may have to be asked before.
    this.#listen(limits.connectMs);
    // A page that hears of this may close the connection.
    this.#change({ status: "connecting", retryAt: null, transport: transport.name });
    void this.#ask(attempt, (credential, isCurrent) => {
      this.#listen(limits.connectMs);
      this.#socket = transport.open(makeRequest(url, credential), {
        message: (text) => isCurrent() && this.#receive(JSON.parse(text)),
        close: (code, reason) => isCurrent() && this.#lose(reason || "NETWORK", code),
      });
    });
  }

  /** Use a new credential, unless the attempt has ended meanwhile. */
  async #ask(attempt: number, use: (given: Partial<Credential>, isCurrent: () => boolean) => void): Promise<void> {
    const isCurrent = (): boolean => attempt === this.#attempt;
    try {
      const credential = await this.#settings.credentials.ask();
      if (isCurrent()) use(credential, isCurrent);
    } catch (error) {
      // The callback, or the transport itself, has raised. Without a login this attempt has ended already.
      if (!isCurrent()) return;
      report(error);
      // An open socket has some time left.
      if (this.#greeting) this.#deadlines.plan(AUTH, this.#settings.limits.longestPauseMs, () => this.#extend());
      else this.#lose("CREDENTIAL");
    }
  }

  /** Let go of the socket and of all that is planned. Returns the number of the next attempt. */
  #end(): number {
    this.#socket?.close();
    this.#socket = this.#greeting = undefined;
    this.#deadlines.cancel("next", RESUME, AUTH);
    return ++this.#attempt;
  }

  // Losing

  /** The socket has ended, is dead, or could not be opened: decide by the server's words how to go on. */
  #lose(reason: string, code = 0, goodbye?: Disconnect): void {
    const { credentials, limits } = this.#settings;
    if (this.#greeting && Date.now() - this.#onlineAt >= STABLE_MS) this.#failures = 0;
    this.#end();
    // The cookie is what it is. And a new credential that is refused as well was no help.
    const renews = code === UNAUTHENTICATED && !this.#refused && Boolean(credentials.callback);
    const verdict = judge(code, goodbye);
    if (verdict && !renews) return this.#stop(verdict, reason, code);
    this.#refused = renews;
    if (renews && !this.#failures++) return this.#open();
    const after = goodbye?.retry_after_ms;
    const retryAt = this.#deadlines.plan(
      "next",
      after || choosePause(this.#failures++, limits.firstPauseMs, limits.longestPauseMs),
      () => this.#open(),
    );
    this.#notBefore = after ? retryAt : 0;
    this.#change({ reason, code, status: isOffline() ? "offline" : "waiting", retryAt });
  }

  #stop(status: "signedOut" | "closed", reason: string, code = 0): void {
    this.#end();
    // The next socket begins with nothing.
    this.#user = undefined;
    this.#change({ status, reason, code, retryAt: null });
  }

  #change(changes: Partial<State>): void {
    this.#state = { ...this.#state, ...changes };
    // Connecting, waiting or offline.
    const isLost = /ing|ff/.test(this.#state.status);
    if (!isLost || this.#told.status !== "online") this.#tell();
    else if (!this.#deadlines.has("grace"))
      this.#deadlines.plan("grace", this.#settings.limits.graceMs, () => this.#tell());
  }

  #tell(): void {
    this.#deadlines.cancel("grace");
    this.#told = this.#state;
    this.#events.alter(this.#told);
  }

  // Frames

  #receive(frame: Answer): void {
    const { type, id, data } = frame;
    this.#heardAt = Date.now();
    if (type === "batch") return void frame["messages"].map((one: Answer) => this.#receive(one));
    // The socket of another user than the page's is closed, and the page hears nothing of it.
    if (type === "connected" && !this.#greet(data)) return;
    if (this.#greeting) this.#listen(2000 * this.#greeting.heartbeat_seconds);
    if (type === "heartbeat") return this.transmit('{"type":"pong"}');
    if (type === "auth_expiring") this.#extend();
    if (type === "error" && (id === RESUME || id === AUTH)) this.#refuse(frame);
    this.#hand(frame);
    // The last frame. The close that follows may be lost on the way, so it is not waited for.
    if (type === "disconnect") this.#lose(frame["reason"], frame["code"], frame as unknown as Disconnect);
  }

  /** Hand on a frame, unless it is an event that has come before. */
  #hand(frame: Answer): void {
    for (const one of this.#streams.admit(frame)) this.#events.takeFrame(one);
  }

  /** Returns true, unless it is the socket of a user who is not expected. */
  #greet(data: ConnectedData): true | void {
    const { user } = this.#settings;
    if (user !== undefined && String(user) !== String(data.user_id)) return this.#stop("signedOut", "USER_CHANGED");
    if (data.user_id !== this.#user) this.#streams = new Streams();
    this.#user = data.user_id;
    this.#greeting = data;
    this.#refused = false;
    this.#onlineAt = Date.now();
    this.#resume(this.#streams.begin(data.streams));
    this.#change({ status: "online", reason: "", code: 0 });
    // A page that hears of this may close the connection.
    if (this.#greeting) this.#events.ready({ ...data, streams: this.#streams.positions }, !this.#streams.resuming.size);
    return true;
  }

  /** After so long without a frame, the connection is dead, and nobody has said so. */
  #listen(ms: number): void {
    this.#deadlines.plan("next", ms, () => this.#lose("TIMEOUT"));
  }

  #resume(positions: Positions): void {
    const entries = Object.entries(positions);
    while (entries.length) {
      // The server closes the socket for a frame that is too large, and would do so again after each reconnect.
      const streams = Object.fromEntries(
        entries.splice(0, Math.min(MOST_IN_ONE_RESUME, 1 + this.#greeting!.max_frame_bytes / STREAM_BYTES)),
      );
      this.transmit(JSON.stringify({ type: RESUME, streams, id: RESUME }));
    }
  }

  /**
   * What the connection itself has sent was refused: a `resume` for one stream for good or as a whole, after which the
   * streams that it has started are silent, or a new token.
   */
  #refuse({ id, stream, error_code, retry_after_ms }: Answer): void {
    if (stream) {
      this.#streams.forgetStream(stream);
      if (stream.startsWith("room.")) this.#hand({ type: "left", room_id: stream.slice(5), reason: "REMOVED" });
    } else if (isPassing(error_code)) {
      const again = (): void => (id === RESUME ? this.#resume(this.#streams.positions) : this.#extend());
      this.#deadlines.plan(id as typeof AUTH, retry_after_ms ?? AGAIN_MS, again);
    } else {
      // A socket that resumes nothing takes its place, and all that the page shows is loaded again. Or the token is of
      // another user, perhaps: a socket of its own tells.
      if (id === RESUME) this.#streams = new Streams();
      this.#open();
    }
  }

  /** Send a new token before the socket ends. A session is prolonged by itself; a ticket cannot extend a socket. */
  #extend(): void {
    void this.#ask(
      this.#attempt,
      ({ token }) => token && this.transmit(JSON.stringify({ type: AUTH, token, id: AUTH })),
    );
  }
}
