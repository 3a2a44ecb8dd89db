// The delivery log: the events of all webhooks.

import { el } from "../elements/dom.js";
import { link } from "../elements/router.js";
import { getAll } from "../http/api.js";
import { makeDeliveryList } from "./delivery_list.js";

/** @type {Ui.Show} */
export async function showDeliveries(_, signal) {
  const webhooks = await getAll("api/v1/webhook_subscription/", { signal });
  const list = await makeDeliveryList("webhooks/deliveries", { webhooks, signal });
  return [
    el("p", { class: "trail" }, link("webhooks", "Webhooks"), " / "),
    el("h1", {}, "Deliveries"),
    list.node,
  ];
}
