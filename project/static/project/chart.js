/** The server's load as a line that grows: the topic `metrics`. */

import { realtime } from "./client.js";
import { find, part, setText } from "./dom.js";

const MOST = 45; // values
const [WIDTH, HEIGHT] = [240, 60];
const values = [];

export function startChart() {
  const metrics = realtime.topic("metrics");
  metrics.on(({ load }) => {
    values.push(load[0]);
    if (values.length > MOST) values.shift();
    draw();
  });
  metrics.join();
}

function draw() {
  const highest = Math.max(1, ...values) * 1.15;
  const points = values.map((value, index) => {
    const x = WIDTH - (values.length - 1 - index) * (WIDTH / (MOST - 1));
    return `${x.toFixed(1)} ${(HEIGHT - (value / highest) * HEIGHT).toFixed(1)}`;
  });
  const line = `M${points.join("L")}`;
  const start = points[0].split(" ")[0];
  part(find("chart"), ".line").setAttribute("d", line);
  part(find("chart"), ".area").setAttribute("d", `${line}V${HEIGHT}H${start}Z`);
  setText(find("load"), values.at(-1).toFixed(2));
}
