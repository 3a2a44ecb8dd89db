// The delivery log: every event that was sent, every attempt, and what came back.

import { button } from "../elements/buttons.js";
import { card, el, empty, fill } from "../elements/dom.js";
import { moment, state } from "../elements/format.js";
import { nameOptions } from "../elements/forms.js";
import { tell } from "../elements/notices.js";
import { link } from "../elements/router.js";
import { makeList, makeTable } from "../elements/tables.js";
import { part } from "../http/addresses.js";
import { getAll, getRow, post } from "../http/api.js";
import { describeError, isAbort } from "../http/errors.js";
import { writeJson } from "../http/exact_json.js";
import { pause } from "../http/waiting.js";

const STATES = ["pending", "delivered", "failed"];

/** @type {Ui.Show} */
export async function showDeliveries(_, signal) {
  const subscriptions = await getAll("api/v1/webhook_subscription/", { signal });
  const names = new Map(subscriptions.map((row) => [row.id, row.name]));
  const wanted = new URLSearchParams(location.search).get("subscription") ?? "";
  const subscription = makeChoice("Subscription", [["", "All subscriptions"], ...names], wanted);
  const status = makeChoice("State", [["", "All states"], ...nameOptions(STATES)], "");
  /** @type {Ui.ListView} */
  const list = makeList({
    path: "api/v1/webhook_delivery/",
    caption: "Deliveries",
    noun: "delivery",
    nouns: "deliveries",
    isMoving: (row) => row.status === "pending",
    signal,
    getFilters: () => [
      subscription.value && ["webhook_subscription", "eq", Number(subscription.value)],
      status.value && ["status", "eq", status.value],
    ],
    columns: [
      ["Delivery", (row) => link(`deliveries/${part(row.uid)}`, `Delivery ${row.id}`)],
      ["Event", (row) => el("code", {}, row.event)],
      ["To", (row) => names.get(row.webhook_subscription_id) ?? "–"],
      ["State", (row) => state(row.status)],
      ["Attempts", (row) => row.attempt_count, "number"],
      ["Created", (row) => moment(row.created_on), "tight"],
      ["Next attempt", (row) => moment(row.next_attempt_on), "tight"],
      ["", (row) => button("Resend", () => resend(row, () => list.show())), "actions-cell"],
    ],
    whenEmpty: () =>
      empty(
        "Nothing was sent",
        "Events are sent to subscriptions when reports and queries run or change. A subscription can also send a test.",
        link("subscriptions", "Go to the subscriptions"),
      ),
  });
  for (const choice of [subscription, status]) choice.addEventListener("change", () => list.show(0));
  await list.show(0);
  return [el("h1", {}, "Deliveries"), el("div", { class: "filters" }, subscription, status), list.node];
}

/**
 * @param {string} label
 * @param {Ui.Option[]} options
 * @param {string} value
 */
function makeChoice(label, options, value) {
  return el(
    "select",
    { "aria-label": label },
    options.map(([key, text]) => el("option", { value: key, selected: String(key) === value }, text)),
  );
}

/** @type {Ui.Show} */
export async function showDelivery({ delivery: reference }, signal) {
  const place = el("div", {});
  const update = async () => {
    const row = await getRow(`api/v1/webhook_delivery/${reference}`, { signal });
    fill(
      place,
      makeDelivery(row, () => follow(update, signal)),
    );
    return row;
  };
  const row = await update();
  if (row.status === "pending") follow(update, signal);
  return [el("p", { class: "trail" }, link("deliveries", "Deliveries"), " / "), place];
}

/**
 * Look again until it has ended or the next attempt is far away.
 *
 * @param {() => Promise<Api.WholeDelivery>} update
 * @param {AbortSignal} signal
 */
async function follow(update, signal) {
  try {
    for (let tries = 0; tries < 20; tries += 1) {
      await pause(tries, signal);
      if ((await update()).status !== "pending") return;
    }
  } catch (error) {
    if (!isAbort(error)) tell(describeError(error), "bad");
  }
}

/**
 * @param {Api.WholeDelivery} row
 * @param {() => Promise<void>} whenResent
 * @returns {Ui.Child}
 */
function makeDelivery(row, whenResent) {
  /** @type {[string, Ui.Child][]} */
  const facts = [
    ["State", state(row.status)],
    ["Event", el("code", {}, row.event)],
    ["Created", moment(row.created_on)],
    ["Ended", moment(row.finished_on)],
    ["Next attempt", moment(row.next_attempt_on)],
    ["webhook-id", el("code", {}, row.webhook_id)],
  ];
  /** @type {Ui.Column<Api.Attempt>[]} */
  const columns = [
    ["Attempt", (attempt) => attempt.number, "tight"],
    ["Began", (attempt) => moment(attempt.started_on), "tight"],
    ["Took", (attempt) => `${attempt.duration_ms} ms`, "tight"],
    [
      "Answer",
      (attempt) => [
        attempt.status_code ?? "none",
        attempt.error && el("div", { class: "fault" }, attempt.error),
        attempt.answer && el("pre", { class: "code folded" }, attempt.answer),
      ],
    ],
  ];
  return [
    el(
      "div",
      { class: "head" },
      el("h1", {}, `Delivery ${row.id}`),
      el(
        "div",
        { class: "actions" },
        button("Resend", () => resend(row, whenResent)),
      ),
    ),
    el(
      "dl",
      { class: "facts" },
      facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
    ),
    card(
      "Attempts",
      row.attempts.length
        ? makeTable(columns, row.attempts, "Attempts")
        : el("p", { class: "hint" }, "None yet."),
    ),
    card("Payload", el("pre", { class: "code" }, writeJson(row.body, 2))),
  ];
}

/**
 * @param {Api.Delivery} row
 * @param {() => Promise<unknown>} whenDone
 */
async function resend(row, whenDone) {
  await post(`api/v1/webhook_delivery/${part(row.uid)}/resend`);
  tell(`Delivery ${row.id} is sent again`);
  await whenDone();
}
