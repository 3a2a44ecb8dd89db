// One delivery: every attempt with its answer, and what was sent.

import { button } from "../elements/buttons.js";
import { card, el } from "../elements/dom.js";
import { moment, state } from "../elements/format.js";
import { tell } from "../elements/notices.js";
import { replaceKeeping } from "../elements/redraw.js";
import { link } from "../elements/router.js";
import { makeTable, named } from "../elements/tables.js";
import { part } from "../http/addresses.js";
import { getRow } from "../http/api.js";
import { describeError, isAbort } from "../http/errors.js";
import { writeJson } from "../http/exact_json.js";
import { pause } from "../http/waiting.js";
import { sendAgain } from "./delivery_list.js";

const MOST_LOOKS = 20;

/** @type {Ui.Show} */
export async function showDelivery({ delivery: reference }, signal) {
  const path = `api/v1/webhook_delivery/${part(reference)}`;
  /** @type {Api.WholeDelivery} */
  const first = await getRow(path, { signal });
  /** @type {Api.Subscription} */
  const webhook = await getRow(`api/v1/webhook_subscription/${first.webhook_subscription_id}`, { signal });
  let shown = makeFacts(first);
  let look = writeJson(first);
  const update = async () => {
    /** @type {Api.WholeDelivery} */
    const row = await getRow(path, { signal, isUnasked: true });
    const isSame = look === writeJson(row);
    look = writeJson(row);
    if (isSame) return row;
    const fresh = makeFacts(row);
    replaceKeeping(shown, fresh);
    shown = fresh;
    return row;
  };
  if (first.status === "pending") follow(update, signal);
  return [
    el(
      "p",
      { class: "trail" },
      link("webhooks", "Webhooks"),
      " / ",
      link(`webhooks/${part(webhook.uid)}`, webhook.name),
      " / ",
    ),
    makeHead(first, webhook, () => follow(update, signal)),
    shown,
    card("Payload", el("pre", { class: "code", tabindex: "0" }, writeJson(first.body, 2))),
  ];
}

/**
 * Look again until it has ended or the next attempt is far away.
 *
 * @param {() => Promise<Api.WholeDelivery>} update
 * @param {AbortSignal} signal
 */
async function follow(update, signal) {
  try {
    for (let tries = 0; tries < MOST_LOOKS; tries += 1) {
      await pause(tries, signal);
      if ((await update()).status !== "pending") return;
    }
  } catch (error) {
    if (!isAbort(error)) tell(describeError(error), "bad");
  }
}

/** @type {Ui.Column<Api.Attempt>[]} */
const ATTEMPT_COLUMNS = [
  named("Attempt", (attempt) => attempt.number, "tight"),
  named("Started", (attempt) => moment(attempt.started_on), "tight"),
  named("Duration", (attempt) => `${attempt.duration_ms} ms`, "tight"),
  named("Answer", (attempt) => [
    attempt.status_code ?? "none",
    attempt.error && el("div", { class: "fault" }, attempt.error),
    attempt.answer && el("pre", { class: "code folded", tabindex: "0" }, attempt.answer),
  ]),
];

/**
 * @param {Api.WholeDelivery} row
 * @param {Api.Subscription} webhook
 * @param {() => Promise<void>} whenSent
 * @returns {Ui.Child}
 */
function makeHead(row, webhook, whenSent) {
  return el(
    "div",
    { class: "head" },
    el("h1", {}, `Delivery ${row.id}`),
    el(
      "div",
      { class: "actions" },
      webhook.active
        ? button("Send again", () => sendAgain(row, whenSent))
        : el("p", { class: "hint" }, "The webhook is disabled: enable it to send this event again."),
    ),
  );
}

/**
 * Make what changes while it is sent.
 *
 * @param {Api.WholeDelivery} row
 */
function makeFacts(row) {
  /** @type {[string, Ui.Child][]} */
  const facts = [
    ["State", state(row.status)],
    ["Event", el("code", {}, row.event)],
    ["Created", moment(row.created_on)],
    ["Finished", moment(row.finished_on)],
    ["Next attempt", moment(row.next_attempt_on)],
    ["webhook-id", el("code", {}, row.webhook_id)],
  ];
  return el(
    "div",
    {},
    el(
      "dl",
      { class: "facts" },
      facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
    ),
    card(
      "Attempts",
      row.attempts.length
        ? el("div", { class: "as-cards" }, makeTable(ATTEMPT_COLUMNS, row.attempts, "All attempts"))
        : el("p", { class: "hint" }, "None yet."),
    ),
  );
}
