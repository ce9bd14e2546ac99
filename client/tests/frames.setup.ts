/**
 * Judges every frame that the fake server sends in any test by the AsyncAPI document. Those that say `isOfSite` are
 * frames that a site has made up.
 */

import { afterEach, expect } from "vitest";

import { FakeSocket } from "../src/testing/socket.js";
import { judge } from "./document.js";

const problems: string[] = [];
const deliver = FakeSocket.prototype.deliver;

FakeSocket.prototype.deliver = function (frame) {
  if (!("isOfSite" in frame)) problems.push(...judge(frame as { type: string }));
  deliver.call(this, frame);
};

afterEach(() => expect(problems.splice(0)).toEqual([]));
