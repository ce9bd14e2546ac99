/**
 * The script of the SharedWorker: its host serves every page that connects. Where Django serves the library, a page for
 * which no worker works loads this file as well, for the code that leads.
 */

export { leadBy } from "./leader.js";

import { Host } from "./host.js";
import type { ToHost } from "./wire.js";

const host = new Host();

addEventListener("connect", (event) => {
  const [port] = (event as MessageEvent).ports;
  port!.onmessage = ({ data }: MessageEvent<ToHost>) => host.hear(data, (message) => port!.postMessage(message));
});
