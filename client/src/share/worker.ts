/** The script of the SharedWorker: its host serves every page that connects. */

import { Host } from "./host.js";
import type { ToHost } from "./wire.js";

const host = new Host();

addEventListener("connect", (event) => {
  const [port] = (event as MessageEvent).ports;
  port!.onmessage = ({ data }: MessageEvent<ToHost>) => host.hear(data, (message) => port!.postMessage(message));
});
