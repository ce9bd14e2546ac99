// Keeps the page "Live" of Django's admin current, over a socket of the site. Without this script, the page shows what
// there was when it was loaded.
(() => {
  "use strict";
  const LATE_MS = 10_000; // the server sends values every two seconds
  const LONGEST_PAUSE_MS = 10_000;

  const page = document.querySelector(".live");
  const state = page.querySelector("[data-opening]");
  const parts = new Map([...page.querySelectorAll("[data-topic]")].map((part) => [part.dataset.topic, part]));
  let failures = 0;
  let retry; // the timer of the next attempt; undefined while there is a socket

  function show(name) {
    state.hidden = false;
    state.textContent = state.dataset[name];
    page.classList.toggle("live-old", name === "waiting" || name === "ended" || name === "late");
  }

  async function open() {
    retry = undefined;
    if (!failures) show("opening");
    const ticket = page.dataset.ticket ? await askTicket() : "";
    if (ticket === null) return;
    const query = ticket && `?ticket=${encodeURIComponent(ticket)}`;
    listen(new WebSocket(location.origin.replace(/^http/, "ws") + page.dataset.socket + query));
  }

  // A ticket; null if there is none, and then what follows has been decided.
  async function askTicket() {
    const headers = { "X-CSRFToken": page.querySelector("[name=csrfmiddlewaretoken]").value };
    const answer = await fetch(page.dataset.ticket, { method: "POST", headers }).catch(() => null);
    if (answer?.ok) return (await answer.json()).ticket;
    if (answer && answer.status < 500 && answer.status !== 429) show("ended");
    else comeBack();
    return null;
  }

  function comeBack(afterMs = 0) {
    show("waiting");
    const pause = Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** failures++) * (0.5 + Math.random() / 2);
    retry = setTimeout(open, afterMs || pause);
  }

  function listen(socket) {
    let goodbye = { reconnect: true }; // until the server says otherwise: the network ends sockets, too
    let silence; // the timer that notices that nothing comes any more
    let lateness;

    function watch(seconds) {
      clearTimeout(silence);
      silence = setTimeout(end, 2000 * seconds);
    }

    function end() {
      clearTimeout(silence);
      clearTimeout(lateness);
      socket.onclose = socket.onmessage = null; // a dead connection may wake up
      socket.close();
      if (goodbye.reconnect && parts.size) comeBack(goodbye.retry_after_ms);
      else show("ended");
    }

    function expectValue() {
      clearTimeout(lateness);
      lateness = setTimeout(show, LATE_MS, "late");
    }

    let heartbeat = 30;
    watch(heartbeat);
    socket.onclose = end;
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      if (frame.type === "connected") heartbeat = frame.data.heartbeat_seconds;
      watch(heartbeat);
      if (frame.type === "connected") {
        show("open");
        for (const topic of parts.keys()) socket.send(JSON.stringify({ type: "subscribe", topic, id: topic }));
        expectValue();
      } else if (frame.type === "subscribed") failures = 0;
      else if (frame.type === "heartbeat") socket.send(JSON.stringify({ type: "pong" }));
      else if (frame.type === "disconnect") goodbye = frame;
      else if (frame.type === "topic" && parts.has(frame.topic)) {
        render(parts.get(frame.topic), frame.data);
        show("open");
        expectValue();
      } else if (frame.error_code === "NOT_FOUND" && parts.has(frame.id)) remove(parts.get(frame.id));
      else if (frame.error_code && parts.has(frame.id)) end(); // not now: subscribe again, with another socket
      else if (frame.type === "unsubscribed" && parts.has(frame.topic)) remove(parts.get(frame.topic));
      if (!parts.size) end();
    };
  }

  // The right to see a part has ended.
  function remove(part) {
    parts.delete(part.dataset.topic);
    for (const content of part.querySelectorAll("table, form, .live-note, .live-count")) content.remove();
    const note = document.createElement("p");
    note.className = "live-note";
    note.textContent = page.dataset.gone;
    part.append(note);
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

  addEventListener("online", () => {
    if (retry === undefined) return;
    clearTimeout(retry);
    open();
  });
  if (parts.size) open();
})();
