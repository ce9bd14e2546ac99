/** Texts in the language of the page, from Django's catalogue. */

const { gettext, ngettext, interpolate } = window;

export { gettext, ngettext };

/** A text with `%(name)s` filled in. */
export function fill(text, values) {
  return interpolate(text, values, true);
}

/** Why something has failed, for people; empty where nothing but a code is known. A `TypeError` is what `fetch` throws. */
export function sayError({ name, code, message }) {
  if (code === "NETWORK" || name === "TypeError") return gettext("Connection lost");
  return message === code ? "" : message;
}

/** A count as a badge has it. */
export const atMost99 = (count) => (count > 99 ? "99+" : String(count));

const language = document.documentElement.lang;
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" });
const short = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });

const list = new Intl.ListFormat(language);

export const listNames = (names) => list.format(names);
export const time = (moment) => clock.format(new Date(moment));
export const day = (moment) => calendar.format(new Date(moment));

/** The time for today, the date for earlier days. */
export function timeOrDate(moment) {
  const date = new Date(moment);
  return date.toDateString() === new Date().toDateString() ? clock.format(date) : short.format(date);
}
