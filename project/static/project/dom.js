/** Small things for making pages. Texts are set as texts, never as HTML. */

// In languages that put no space behind a sentence, its signs end the address, too. Brackets belong to it in pairs.
const ENDS = String.raw`\s<>"()、。《》「」『』【】，；：！？（）“”‘’…،؛؟`;
const PAIR = String.raw`\([^${ENDS}]*\)`;
const ADDRESS = new RegExp(String.raw`(https?://(?:${PAIR}|[^${ENDS}])*(?:${PAIR}|[^${ENDS}.,;:!?\]]))`);
// Lines that can be read again. Two may come at once.
const MOST_SPOKEN = 3;

export const find = (id) => document.getElementById(id);

export const part = (element, selector) => element.querySelector(selector);

/** A copy of what a `<template>` holds. */
export function clone(id) {
  return find(id).content.firstElementChild.cloneNode(true);
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** What one sees change, whichever part of the page is shown, is read aloud by screen readers. */
export function readAloud(text) {
  const spoken = find("spoken");
  spoken.append(Object.assign(document.createElement("p"), { textContent: text }));
  if (spoken.children.length > MOST_SPOKEN) spoken.firstElementChild.remove();
}

/** Let the children of `parent` show `items`, in order. Children keep their identity by key, and with it the focus. */
export function showList(parent, items, keyOf, make, update) {
  const wanted = new Set(items.map((item) => String(keyOf(item))));
  const children = new Map();
  for (const child of [...parent.children]) {
    if (wanted.has(child.dataset.key)) children.set(child.dataset.key, child);
    else child.remove();
  }
  let place = parent.firstElementChild;
  items.forEach((item, index) => {
    const key = String(keyOf(item));
    const child = children.get(key) ?? make(item);
    child.dataset.key = key;
    update(child, item, items[index - 1]);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  });
}

/**
 * Run `change`. If what had the focus is gone then, what `findNext` finds has it, or else what lies behind: from the
 * page itself, keys would go on at its beginning.
 */
export function keepFocus(change, findNext = () => null) {
  const focused = document.activeElement;
  change();
  if (!focused || focused === document.body || focused.getClientRects().length) return;
  (findNext() ?? find(find("inbox").hidden ? "scroller" : "close-inbox")).focus();
}

/** A text with its addresses as links. Only http and https count: `javascript:` stays a text. */
export function linked(text) {
  const pieces = text.split(ADDRESS);
  return pieces.map((piece, index) => (index % 2 ? makeLink(piece) : piece));
}

function makeLink(address) {
  const link = Object.assign(document.createElement("a"), { href: address, textContent: address });
  return Object.assign(link, { target: "_blank", rel: "noopener noreferrer" });
}

/** The address if it leads to a page or a mail, else null. */
export function safeAddress(link) {
  const known = link && URL.canParse(link, location.href) && new URL(link, location.href);
  return known && ["http:", "https:", "mailto:"].includes(known.protocol) ? known.href : null;
}

/** Which of the few colours of avatars a user has. */
export function paintAvatar(element, name, userId) {
  setText(element, [...name][0]?.toUpperCase() ?? "?");
  element.classList.add("avatar", `hue-${Number(userId) % 7 || 0}`);
}

export function isVisible() {
  return document.visibilityState === "visible";
}
