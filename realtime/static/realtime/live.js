// Keeps the page "Live" of Django's admin current, over a socket of the site. Without this script, the page shows what
// there was when it was loaded.
(() => {
  "use strict";
  const LATE_MS = 10_000; // the server sends values every two seconds
  // What the page says in each state of the client.
  const WORDS = { connecting: "opening", online: "open", waiting: "waiting", offline: "waiting" };

  const page = document.querySelector(".live");
  const state = page.querySelector("[data-opening]");
  const parts = new Map([...page.querySelectorAll("[data-topic]")].map((part) => [part.dataset.topic, part]));
  const client = createRealtime({
    url: page.dataset.socket,
    limits: { graceMs: 0 }, // numbers that stand still look like those of a quiet site
    ...(page.dataset.ticket && { credential: askTicket }),
  });
  let status, lateness;

  function show(name) {
    state.hidden = false;
    state.textContent = state.dataset[name];
    page.classList.toggle("live-old", name === "waiting" || name === "ended" || name === "late");
  }

  async function askTicket() {
    const headers = { "X-CSRFToken": page.querySelector("[name=csrfmiddlewaretoken]").value };
    const answer = await fetch(page.dataset.ticket, { method: "POST", headers });
    if (answer.ok) return answer.json();
    throw answer.status < 500 && answer.status !== 429 ? new Unauthorized() : new Error(answer.statusText);
  }

  function expectValue() {
    clearTimeout(lateness);
    lateness = setTimeout(show, LATE_MS, "late");
  }

  async function subscribe(topic) {
    try {
      await client.send({ type: "subscribe", topic });
    } catch ({ code }) {
      if (code === "NOT_FOUND") remove(topic);
    }
  }

  function follow(now) {
    if (now === status) return;
    // After a loss, the first attempt follows at once; what was said about the loss stays until it succeeds.
    if (now !== "connecting" || !status || status === "idle") show(WORDS[now] ?? "ended");
    status = now;
    clearTimeout(lateness);
    if (now !== "online") return;
    expectValue();
    for (const topic of parts.keys()) subscribe(topic); // each socket anew
  }

  // The right to see a part has ended.
  function remove(topic) {
    const part = parts.get(topic);
    if (!parts.delete(topic)) return;
    for (const content of part.querySelectorAll("table, form, .live-note, .live-count")) content.remove();
    const note = document.createElement("p");
    note.className = "live-note";
    note.textContent = page.dataset.gone;
    part.append(note);
    if (!parts.size) client.close();
  }

  function render(part, values) {
    part.querySelector(".live-away").hidden = true;
    for (const count of part.querySelectorAll("[data-count]")) count.textContent = values[count.dataset.count];
    if (part.dataset.rows) renderRows(part, values[part.dataset.rows]);
  }

  // Rows stay in the document as long as what they are about, so that a link keeps the focus.
  function renderRows(part, items) {
    const body = part.querySelector("tbody");
    const key = (item) => String(item[part.dataset.key]);
    const left = new Set(items.map(key));
    for (const row of [...body.rows]) if (!left.has(row.dataset.key)) row.remove();
    const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
    items.forEach((item, place) => {
      const row = known.get(key(item)) ?? part.querySelector("template").content.firstElementChild.cloneNode(true);
      row.dataset.key = key(item);
      fill(row, item, body.dataset);
      if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] ?? null);
    });
    part.querySelector(".live-empty").hidden = items.length > 0;
  }

  // `names` has the words for the values of the cells that have some.
  function fill(row, item, names) {
    for (const cell of row.querySelectorAll("[data-field]")) {
      const value = item[cell.dataset.field];
      const text = String("named" in cell.dataset ? names[value] ?? value : value);
      if (cell.textContent !== text) cell.textContent = text;
    }
    for (const mark of row.querySelectorAll("[data-when]")) mark.hidden = !item[mark.dataset.when];
    for (const link of row.querySelectorAll("[data-link]")) link.href = link.dataset.link + encodeURIComponent(item.user_id);
  }

  client.onState((now) => follow(now.status));
  client.on("unsubscribed", ({ topic }) => remove(topic));
  client.on("topic", ({ topic, data }) => {
    if (!parts.has(topic)) return;
    render(parts.get(topic), data);
    show("open");
    expectValue();
  });
  if (parts.size) client.connect();
})();
