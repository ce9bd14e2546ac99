import { Connection } from "../connection.js";
import type { Link, LinkEvents } from "../link.js";
import type { Settings } from "../settings.js";
import type { Options } from "../types.js";

export function openShared(settings: Settings, _options: Options, events: LinkEvents): Link {
  return new Connection(settings, events);
}
