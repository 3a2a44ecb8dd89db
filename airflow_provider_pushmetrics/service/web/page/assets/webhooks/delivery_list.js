// Lists of deliveries, narrowed by event and state: what is chosen is in the address.

import { button } from "../elements/buttons.js";
import { el } from "../elements/dom.js";
import { moment, state } from "../elements/format.js";
import { nameOptions } from "../elements/forms.js";
import { readAddress, readPage, writeAddress, writePage } from "../elements/list_address.js";
import { tell } from "../elements/notices.js";
import { changeAddress, link } from "../elements/router.js";
import { makeList, named } from "../elements/tables.js";
import { part } from "../http/addresses.js";
import { post } from "../http/api.js";
import { describeError, isAbort } from "../http/errors.js";
import { getServerTime } from "../http/server_time.js";
import { EVENTS } from "./events.js";

const STATES = ["pending", "delivered", "failed"];
const DEFAULTS = { webhook: "", event: "", status: "", page: "1" };
const SOON_MILLISECONDS = 60_000;

/**
 * Make a list with its filters; of one webhook, or of all of them with a filter for that.
 *
 * @param {string} base The address of its page.
 * @param {{ webhooks?: Api.Subscription[], webhook?: Api.Subscription, signal: AbortSignal }} settings
 */
export async function makeDeliveryList(base, { webhooks = [], webhook, signal }) {
  const address = readAddress(location.search, DEFAULTS);
  const names = new Map(webhooks.map((row) => [row.id, row.name]));
  const filters = [
    !webhook && makeChoice("webhook", "Webhook", [["", "All webhooks"], ...names], address.webhook),
    makeChoice(
      "event",
      "Event",
      [["", "All events"], ...nameOptions([...EVENTS, "webhook.test"])],
      address.event,
    ),
    makeChoice("status", "State", [["", "All states"], ...nameOptions(STATES)], address.status),
  ].flatMap((one) => (one ? [one] : []));
  /** @param {string} name */
  const read = (name) => filters.find((one) => one.name === name)?.value ?? "";
  /** @type {Ui.ListView} */
  const list = makeList({
    path: "api/v1/webhook_delivery/",
    caption: webhook ? "Deliveries of this webhook" : "Deliveries of all webhooks",
    noun: "delivery",
    nouns: "deliveries",
    isMoving,
    signal,
    getFilters: () => [
      webhook && ["webhook_subscription", "eq", webhook.id],
      read("webhook") && ["webhook_subscription", "eq", Number(read("webhook"))],
      read("event") && ["event", "eq", read("event")],
      read("status") && ["status", "eq", read("status")],
    ],
    onChange: () => keep(),
    columns: makeColumns(webhook ? null : names, () => list.show()),
    whenEmpty: () => makeEmpty(filters.some((one) => one.value)),
  });
  const keep = () => {
    const chosen = { webhook: read("webhook"), event: read("event"), status: read("status") };
    changeAddress(`${base}${writeAddress({ ...chosen, page: writePage(list.page) }, DEFAULTS)}`);
  };
  const narrow = async () => {
    try {
      await list.show(0);
      if (!signal.aborted) keep();
    } catch (error) {
      if (!isAbort(error)) tell(describeError(error), "bad");
    }
  };
  for (const choice of filters) choice.addEventListener("change", narrow);
  await list.show(readPage(address.page));
  return {
    node: el("div", { class: "as-cards" }, el("div", { class: "filters" }, filters), list.node),
    show: () => list.show(),
  };
}

/**
 * Tell whether a delivery will soon change; the next attempt may also be hours away.
 *
 * @param {Api.Delivery} row
 */
const isMoving = ({ status, next_attempt_on }) =>
  status === "pending" && new Date(next_attempt_on ?? 0).getTime() < getServerTime() + SOON_MILLISECONDS;

/**
 * @param {string} name
 * @param {string} label
 * @param {Ui.Option[]} options
 * @param {string} value
 */
function makeChoice(name, label, options, value) {
  return el(
    "select",
    { name, "aria-label": label },
    options.map(([key, text]) => el("option", { value: key, selected: String(key) === value }, text)),
  );
}

/**
 * @param {Map<number, string> | null} names
 * @param {() => unknown} refresh
 * @returns {Ui.Column<Api.Delivery>[]}
 */
function makeColumns(names, refresh) {
  return [
    named("Delivery", (row) => link(`webhooks/deliveries/${part(row.uid)}`, `Delivery ${row.id}`), "tight"),
    named("Event", (row) => el("code", {}, row.event)),
    ...(names
      ? [
          named(
            "Webhook",
            (row) => el("div", { class: "lines" }, names.get(row.webhook_subscription_id) ?? "–"),
            "name",
          ),
        ]
      : []),
    named("State", makeState),
    named("Attempts", (row) => row.attempt_count, "number"),
    named("Created", (row) => moment(row.created_on), "tight"),
    named("Next attempt", (row) => moment(row.next_attempt_on), "tight"),
    ["", (row) => button("Send again", () => sendAgain(row, refresh)), "actions-cell"],
  ];
}

/**
 * Show the state of a delivery, and what the endpoint answered at last.
 *
 * @param {Api.Delivery} row
 * @returns {Ui.Child}
 */
export function makeState(row) {
  const answer = row.last_status_code ? `answered ${row.last_status_code}` : row.last_error;
  return [state(row.status), answer && el("span", { class: "hint clip", title: answer }, answer)];
}

/** @param {boolean} isNarrowed */
const makeEmpty = (isNarrowed) =>
  el(
    "div",
    { class: "empty" },
    el("p", { class: "empty-title" }, isNarrowed ? "No matching delivery" : "Nothing was sent yet"),
    el(
      "p",
      {},
      isNarrowed
        ? "Choose another event or state."
        : "Events are sent when reports and queries run or change. “Send a test” sends one now.",
    ),
  );

/**
 * @param {Api.Delivery} row
 * @param {() => unknown} whenDone
 */
export async function sendAgain(row, whenDone) {
  await post(`api/v1/webhook_delivery/${part(row.uid)}/resend`);
  tell(`Delivery ${row.id} is sent again`);
  await whenDone();
}
