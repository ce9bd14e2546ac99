"""Clients that somebody writes without the library: plain JavaScript, a hook for React, a composable for Vue.

Each opens a socket with `?token=`, sends a ping every 30 seconds, and counts who is online by `user_status`. They show
that on the page, in elements with the ids `plain`, `react` and `vue`.
"""

OPEN = """
export function open(token, show) {
  const seen = { connected: false, online: 0, pongs: 0 };
  const socket = new WebSocket(`ws://${location.host}/api/v1/ws?token=${token}`);
  const ping = () => socket.send(JSON.stringify({ type: "ping", timestamp: Date.now() }));
  const timer = setInterval(ping, 30000);
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    switch (message.type) {
      case "connected":
        seen.connected = true;
        seen.online = message.data.online_count;
        break;
      case "user_status":
        seen.online += message.data.status === "online" ? 1 : -1;
        break;
      case "pong":
        seen.pongs += 1;
        break;
    }
    show({ ...seen });
  };
  return () => {
    clearInterval(timer);
    socket.close();
  };
}

export function describe({ connected, online, pongs }) {
  return `${connected ? "connected" : "closed"}, ${online} online, ${pongs} pongs`;
}
"""
HOOK = """
import { createElement, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { describe, open } from "./open.js";

function useSocket(token) {
  const [seen, setSeen] = useState({});
  useEffect(() => open(token, setSeen), [token]);
  return seen;
}

export function showReact(token, element) {
  const Count = () => describe(useSocket(token));
  createRoot(element).render(createElement(Count));
}
"""
COMPOSABLE = """
import { createApp, onMounted, onUnmounted, ref } from "vue";
import { describe, open } from "./open.js";

function useSocket(token) {
  const seen = ref({});
  let close;
  onMounted(() => (close = open(token, (now) => (seen.value = now))));
  onUnmounted(() => close());
  return seen;
}

export function showVue(token, element) {
  createApp({
    setup() {
      const seen = useSocket(token);
      return () => describe(seen.value);
    },
  }).mount(element);
}
"""
PAGE = """
import { describe, open } from "./open.js";
import { showReact } from "./hook.js";
import { showVue } from "./composable.js";

document.body.innerHTML = `<p id="plain"></p><p id="react"></p><p id="vue"></p>`;
window.start = (token) => {
  open(token, (seen) => (document.getElementById("plain").textContent = describe(seen)));
  showReact(token, document.getElementById("react"));
  showVue(token, document.getElementById("vue"));
};
"""
FILES = {"open.js": OPEN, "hook.js": HOOK, "composable.js": COMPOSABLE, "page.js": PAGE}
