// The webhooks of the workspace, with their state and the share of deliveries that their endpoints accepted.

import { button } from "../elements/buttons.js";
import { el, empty } from "../elements/dom.js";
import { moment, state } from "../elements/format.js";
import { link } from "../elements/router.js";
import { makeList, named } from "../elements/tables.js";
import { part } from "../http/addresses.js";
import { getRow } from "../http/api.js";
import { makeRate } from "./rates.js";
import { createWebhook } from "./webhook_form.js";

/** @type {Ui.Column<Api.Subscription>[]} */
const COLUMNS = [
  named(
    "Webhook",
    (row) => [
      el("div", { class: "lines" }, link(`webhooks/${part(row.uid)}`, row.name)),
      el("span", { class: "hint clip code", title: row.url }, row.url),
    ],
    "name",
  ),
  named("State", makeWebhookState),
  named("Last 24 hours", (row) => makeRate(row.activity?.last_day), "number"),
  named("Last 7 days", (row) => makeRate(row.activity?.last_week), "number"),
  named("Events", (row) => row.events.join(", ")),
];

/** @type {Ui.Show} */
export async function showWebhooks(_, signal) {
  const list = makeList({
    path: "api/v1/webhook_subscription/",
    caption: "Webhooks",
    noun: "webhook",
    signal,
    complete: (rows) => addRates(rows, signal),
    columns: COLUMNS,
    whenEmpty: () =>
      empty(
        "There are no webhooks yet",
        "A webhook sends an event to a URL whenever a report or a query has run or changed. Each is signed.",
        makeNewButton(),
      ),
  });
  await list.show(0);
  return [
    el(
      "div",
      { class: "head" },
      el(
        "div",
        {},
        el("h1", {}, "Webhooks"),
        el("p", { class: "hint" }, "The percentages are the share of deliveries that the endpoint accepted."),
      ),
      el("div", { class: "actions" }, link("webhooks/deliveries", "All deliveries"), makeNewButton()),
    ),
    el("div", { class: "as-cards" }, list.node),
  ];
}

/** @returns {HTMLButtonElement} */
const makeNewButton = () => button("New webhook", createWebhook, { kind: "primary" });

/**
 * Add the success rates to the webhooks of a page, by one call.
 *
 * @param {Api.Subscription[]} rows
 * @param {AbortSignal} signal
 */
async function addRates(rows, signal) {
  const query = new URLSearchParams(rows.map(({ id }) => ["subscription", String(id)]));
  /** @type {Api.SubscriptionActivity[]} */
  const found = await getRow(`app/activity/subscriptions?${query}`, { signal });
  const activities = new Map(found.map((activity) => [activity.subscription_id, activity]));
  return rows.map((row) => ({ ...row, activity: activities.get(row.id) }));
}

/**
 * Show whether events are sent, and what is wrong.
 *
 * @param {Api.Subscription} row
 * @returns {Ui.Child}
 */
export function makeWebhookState(row) {
  return [
    state(row.active ? "enabled" : "disabled"),
    row.disabled_reason && el("span", { class: "hint line" }, row.disabled_reason),
    row.failing_since &&
      row.active &&
      el("span", { class: "hint line" }, "failing since ", moment(row.failing_since)),
  ];
}
