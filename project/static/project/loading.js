/** Lists that come over REST: loaded with each connection, and again by themselves after a failure that passes. */

import { realtime } from "./client.js";
import { showToast } from "./toasts.js";
import { gettext, sayError } from "./texts.js";

const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [1_000, 30_000];
// An error in the server, too: without a list its part of the page is empty.
const PASSING = /^(NETWORK|RATE_LIMITED|UNAVAILABLE|MESSAGE_PROCESSING_ERROR|HTTP_(429|5..))$/;
// After these nobody needs the list any more.
const ENDED = /^(CLOSED|SIGNED_OUT|USER_CHANGED)$/;

/** `ask` loads the list, and `use` gets it. The result is the list's `load` and `renew`. */
export const keepLoaded = (ask, use) => new KeptList(ask, use);

class KeptList {
  #isLoading = false;
  #isOld = false;
  #failures = 0;
  #notBefore = 0; // the server has asked to wait until then
  #timer;
  #askServer;
  #use;

  constructor(ask, use) {
    this.#askServer = ask;
    this.#use = use;
    realtime.on("connected", this.load);
  }

  load = () => {
    this.#isOld = true;
    clearTimeout(this.#timer);
    const wait = this.#notBefore - Date.now();
    if (wait > 0) this.#timer = setTimeout(this.load, wait);
    else if (!this.#isLoading) void this.#ask();
  };

  /** A frame has changed the list. An answer that is under way may be older, so another one takes its place. */
  renew() {
    if (this.#isLoading) this.load();
  }

  async #ask() {
    this.#isLoading = true;
    const answer = await this.#askUntilNew().catch((error) => this.#note(error));
    this.#isLoading = false;
    if (!answer) return;
    this.#failures = 0;
    this.#use(answer);
  }

  async #askUntilNew() {
    let answer;
    do {
      this.#isOld = false;
      answer = await this.#askServer();
    } while (this.#isOld);
    return answer;
  }

  #note(error) {
    const { code, retryAfterMs } = error;
    if (PASSING.test(code)) this.#plan(retryAfterMs);
    else if (!ENDED.test(code)) showToast(gettext("That did not work"), sayError(error));
  }

  #plan(retryAfterMs) {
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures++);
    this.#notBefore = Date.now() + retryAfterMs;
    this.#timer = setTimeout(this.load, retryAfterMs || longest * Math.random());
  }
}
