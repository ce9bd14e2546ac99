/** What a site declares of its own frames and topics, and what TypeScript then knows of them. */

import { expectTypeOf, test } from "vitest";

import { createRealtime } from "../src/index.js";

declare module "../src/index.js" {
  interface SiteFrames {
    order_of_test: { type: "order_of_test"; number: string };
  }
  interface TopicData {
    load_of_test: { percent: number };
  }
}

test("frames and topics have the types that the site has declared", () => {
  const client = createRealtime();
  client.on("order_of_test", (frame) => expectTypeOf(frame.number).toEqualTypeOf<string>());
  client.on("chat", ({ data }) => expectTypeOf(data.message).toEqualTypeOf<string>());
  client.on("*", (frame) => expectTypeOf(frame.type).toBeString());
  expectTypeOf(client.topic("load_of_test").value).toEqualTypeOf<{ percent: number } | undefined>();
  expectTypeOf(client.topic("another").value).toBeUnknown();
  // @ts-expect-error: there is no such frame
  client.on("order_of_nobody", () => {});
});
