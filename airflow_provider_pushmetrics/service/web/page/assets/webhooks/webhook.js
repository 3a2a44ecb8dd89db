// The page of one webhook: how well its endpoint accepts events, its deliveries, and how it verifies them.

import { button } from "../elements/buttons.js";
import { card, el, fill } from "../elements/dom.js";
import { moment } from "../elements/format.js";
import { link, reload } from "../elements/router.js";
import { part } from "../http/addresses.js";
import { getRow, post } from "../http/api.js";
import { makeDeliveryList } from "./delivery_list.js";
import { makeRateBar } from "./rates.js";
import { makeVerifyCard } from "./verify_card.js";
import { deleteWebhook, rotateSecret, sendAgain, sendTest } from "./webhook_actions.js";
import { editWebhook } from "./webhook_form.js";
import { makeWebhookState } from "./webhooks.js";

/** @type {Ui.Show} */
export async function showWebhook({ webhook: reference }, signal) {
  const path = `api/v1/webhook_subscription/${part(reference)}`;
  /** @type {Api.Subscription} */
  const row = await getRow(path, { signal });
  const facts = el("dl", { class: "facts" });
  const readFacts = async () => {
    /** @type {[Api.Subscription, Api.SuccessRates]} */
    const [now, rates] = await Promise.all([
      getRow(path, { signal }),
      getRow(`${path}/success_rate`, { signal }),
    ]);
    fill(facts, makeFacts(now, rates));
  };
  const list = await makeDeliveryList(`webhooks/${part(row.uid)}`, { webhook: row, signal });
  const outcome = el("div", { role: "status" });
  const test = async () => {
    await sendTest(path, outcome, signal);
    await Promise.all([readFacts(), list.show()]);
  };
  await readFacts();
  return [
    el("p", { class: "trail" }, link("webhooks", "Webhooks"), " / "),
    el(
      "div",
      { class: "head" },
      el("div", {}, el("h1", {}, row.name), el("p", { class: "hint code address" }, row.url)),
      makeActions(row, path, test),
    ),
    outcome,
    facts,
    card(
      "Deliveries",
      list.node,
      row.active &&
        el(
          "div",
          { class: "actions" },
          button("Send events again", () => sendAgain(path, () => list.show())),
        ),
    ),
    makeVerifyCard(row, () => rotateSecret(path)),
    el(
      "div",
      { class: "actions end" },
      button("Delete the webhook", () => deleteWebhook(row, path), { kind: "danger" }),
    ),
  ];
}

/**
 * @param {Api.Subscription} row
 * @param {string} path
 * @param {() => Promise<void>} test
 */
function makeActions(row, path, test) {
  return el(
    "div",
    { class: "actions" },
    row.active && button("Send a test", test, { kind: "primary" }),
    button("Edit", () => editWebhook(row, path)),
    button(row.active ? "Disable" : "Enable", async () => {
      await post(`${path}/${row.active ? "disable" : "enable"}`);
      await reload();
    }),
  );
}

/**
 * @param {Api.Subscription} row
 * @param {Api.SuccessRates} rates
 */
function makeFacts(row, rates) {
  /** @type {[string, Ui.Child][]} */
  const facts = [
    ["State", makeWebhookState(row)],
    ["Last 24 hours", makeRateBar(rates.last_day)],
    ["Last 7 days", makeRateBar(rates.last_week)],
    ["Events", row.events.map((event) => el("code", { class: "event" }, event))],
    ["Created", moment(row.created_on)],
  ];
  return facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
}
