/** A site that uses the built package, and augments its types. Only compiled: `npm run check`. */

import { createRealtime, type frames } from "django-realtime-hub";
import { createClient } from "django-realtime-hub/core";
import { type MessagesView, useTopic } from "django-realtime-hub/react";
import { createFakeServer } from "django-realtime-hub/testing";
import { useTopic as useTopicRef } from "django-realtime-hub/vue";

declare module "django-realtime-hub" {
  interface SiteFrames {
    sale: { type: "sale"; item: number };
  }
  interface TopicData {
    weather: { celsius: number };
  }
  interface NotificationData {
    parcel_sent: { number: string };
  }
}

const client = createRealtime(createFakeServer().options);
client.on("sale", ({ item }): number => item);
createClient().on("sale", ({ item }): number => item);
// @ts-expect-error: no frame has this type
client.on("nothing", () => {});
export const numberOf = (item: frames.Item<"parcel_sent">): string => item.data.number;

export const values: ({ celsius: number } | undefined)[] = [
  client.topic("weather").value,
  useTopic("weather"),
  useTopicRef("weather").value,
];

// What has failed can be sent again, or discarded, as docs/frontend.md does it: no assertion is needed.
const room = client.room("general");
for (const { status, clientId } of room.messages) if (status === "failed") void room.retry(clientId);
export const againBy = ({ retry, discard }: MessagesView): (() => void)[] =>
  room.messages.flatMap(({ clientId }) => [() => void retry(clientId), () => discard(clientId)]);
