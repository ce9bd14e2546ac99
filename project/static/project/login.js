/** Who this window is. The tokens are kept in the window alone: another window is another person. */

import { Unauthorized } from "../realtime/realtime.js";

const KEY = "login";
const SPARE_SECONDS = 120; // a token that lasts less is renewed

/** Null where the browser blocks cookies for the site: then the mere name throws. */
const storage = findStorage();

export const canSignIn = storage !== null;
export let login = JSON.parse(storage?.getItem(KEY) ?? null);

function findStorage() {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

/** Of the cookie, which changes when somebody logs in to the admin in this browser: pages have an older one. */
export function csrfToken() {
  return /(?:^|; )csrftoken=(\w+)/.exec(document.cookie)?.[1] ?? "";
}

export async function signIn(username) {
  const body = new URLSearchParams({ username, csrfmiddlewaretoken: csrfToken() });
  const answer = await fetch("/demo/sign-in", { method: "POST", body });
  if (!answer.ok) await refuse(answer);
  keep(await answer.json());
}

/** What a proxy answers is no JSON: then there are no words for people. */
async function refuse(answer) {
  const { detail = "" } = await answer.json().catch(() => ({}));
  throw new Error(detail);
}

export function leave() {
  storage.removeItem(KEY);
  location.replace("/");
}

/** The access token, for every socket that is opened. The library calls this, and stops when it is `Unauthorized`. */
export async function credential() {
  if (secondsLeft() < SPARE_SECONDS) await renew();
  return login.access;
}

async function renew() {
  const answer = await fetch("/api/v1/auth/refresh", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ refresh: login.refresh }),
  });
  if (answer.status === 401) throw new Unauthorized();
  if (!answer.ok) throw new Error(answer.statusText);
  keep(Object.assign(login, await answer.json()));
}

/** The access token is new: when the server made it tells how far this computer's clock is ahead, or behind. */
function keep(tokens) {
  login = { ...tokens, aheadSeconds: Date.now() / 1000 - readClaims(tokens.access).iat };
  storage.setItem(KEY, JSON.stringify(login));
}

/** The moment by the server's clock, as `Date.now()` counts. */
export function serverNow() {
  return Date.now() - 1000 * login.aheadSeconds;
}

function secondsLeft() {
  return readClaims(login.access).exp - serverNow() / 1000;
}

function readClaims(token) {
  return JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
}
