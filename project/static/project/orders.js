/** The visitor's orders. A click asks for the next step; what is shown changes when the frame has come. */

import { realtime } from "./client.js";
import { clone, find, part, setText, showList } from "./dom.js";
import { keepLoaded } from "./loading.js";
import { showToast } from "./toasts.js";
import { gettext, sayError } from "./texts.js";

const STEPS = ["new", "paid", "sent", "delivered"];
const NEXT = {
  new: gettext("Pay"),
  paid: gettext("Send"),
  sent: gettext("Deliver"),
  delivered: gettext("Order again"),
  cancelled: gettext("Order again"),
};
let orders = [];
let labels = {};
const list = keepLoaded(() => realtime.rest("GET", "/orders"), take);

export function startOrders() {
  realtime.on("order_status_changed", ({ order_id, status }) => {
    orders = orders.map((order) => (order.number === order_id ? { ...order, status } : order));
    list.renew();
    show();
  });
}

function take(answer) {
  ({ orders, labels } = answer);
  show();
}

function show() {
  showList(find("orders"), orders, ({ number }) => number, makeOrder, showOrder);
}

function makeOrder({ id }) {
  const element = clone("order-piece");
  const button = part(element, "button");
  button.addEventListener("click", async () => {
    // One that is really disabled loses the focus.
    if (button.ariaDisabled === "true") return;
    button.ariaDisabled = "true";
    try {
      await realtime.rest("POST", `/orders/${id}/next`);
    } catch (error) {
      showToast(gettext("That did not work"), sayError(error));
      button.ariaDisabled = "false";
    }
  });
  return element;
}

function showOrder(element, { number, status }) {
  const button = part(element, "button");
  setText(part(element, ".number"), number);
  setText(part(element, ".state"), labels[status] ?? status);
  setText(button, NEXT[status]);
  part(element, "progress").value = STEPS.indexOf(status);
  part(element, "progress").setAttribute("aria-label", labels[status] ?? status);
  if (element.dataset.status !== status) button.ariaDisabled = "false";
  element.dataset.status = status;
}
