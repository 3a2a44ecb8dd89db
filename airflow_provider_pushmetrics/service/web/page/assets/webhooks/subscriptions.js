// Subscriptions: which events are sent where.

import { button } from "../elements/buttons.js";
import { el, empty } from "../elements/dom.js";
import { count, moment, state } from "../elements/format.js";
import { checkField, groupField, listField, makeForm, textField } from "../elements/forms.js";
import { confirmFirst, showDialog, showSecret, tell } from "../elements/notices.js";
import { go, link, reload } from "../elements/router.js";
import { makeList } from "../elements/tables.js";
import { part } from "../http/addresses.js";
import { get, post, put, remove } from "../http/api.js";

const EVENTS = ["report", "query"].flatMap((what) =>
  ["created", "updated", "deleted", "run"].map((event) => `${what}.${event}`),
);
const KEEP_IT =
  "The receiver verifies events with it. It is shown only once: store it in the receiver's settings.";

/** @type {Ui.Show} */
export async function showSubscriptions(_, signal) {
  const list = makeList({
    path: "api/v1/webhook_subscription/",
    caption: "Subscriptions",
    noun: "subscription",
    signal,
    columns: [
      ["Name", (row) => [row.name, el("div", { class: "hint clip code" }, row.url)]],
      [
        "State",
        (row) => [
          state(row.active ? "enabled" : "disabled"),
          row.disabled_reason && el("div", { class: "hint" }, row.disabled_reason),
          row.failing_since &&
            row.active &&
            el("div", { class: "hint" }, "failing since ", moment(row.failing_since)),
        ],
      ],
      ["Events", (row) => row.events.join(", ")],
      ["", makeActions, "actions-cell"],
    ],
    whenEmpty: () =>
      empty(
        "There are no subscriptions yet",
        "A subscription sends an event to a URL whenever a report or a query has run or changed. Each is signed.",
        makeNewButton(),
      ),
  });
  await list.show(0);
  return [
    el(
      "div",
      { class: "head" },
      el("h1", {}, "Subscriptions"),
      el("div", { class: "actions" }, makeNewButton()),
    ),
    list.node,
  ];
}

/** @returns {HTMLButtonElement} */
const makeNewButton = () => button("New subscription", createSubscription, { kind: "primary" });

/** @param {Partial<Api.Subscription>} row */
function makeFields(row = {}) {
  return [
    textField("name", "Name", { required: true, maxlength: 255, value: row.name ?? "" }),
    textField("url", "URL", {
      type: "url",
      required: true,
      value: row.url ?? "",
      class: "code",
      hint: "It must answer 2xx within 15 seconds.",
    }),
    groupField("events", "Events", EVENTS, row.events ?? ["report.run"]),
    headersField(row.headers ?? {}),
    ...(row.uid ? [] : [checkField("active", "Send from now on", { checked: true })]),
  ];
}

/**
 * Make the field of the headers, one a line. Their values are never shown: `***` keeps the stored one.
 *
 * @param {Record<string, string>} headers
 */
function headersField(headers) {
  const field = listField("headers", "Headers", {
    value: Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    hint: "For a receiver that asks for a credential, one a line: “Authorization: Bearer …”. Values are not shown again; *** keeps the stored one.",
  });
  /** @param {string} line */
  const split = (line) => {
    const [name = "", ...rest] = line.split(":");
    return [name.trim(), rest.join(":").trim()];
  };
  return { ...field, read: () => Object.fromEntries(field.read().map(split)) };
}

async function createSubscription() {
  /** @type {{ signing_secret: string } | null} */
  const answer = await showDialog("New subscription", (close) =>
    makeForm({
      fields: makeFields(),
      submit: "Subscribe",
      cancel: () => close(null),
      send: async (values) => close(await post("api/v1/webhook_subscription/", values)),
    }),
  );
  if (!answer) return;
  await showSecret("The signing secret", KEEP_IT, answer.signing_secret);
  await reload();
}

/** @param {Api.Subscription} row */
function makeActions(row) {
  const path = `api/v1/webhook_subscription/${part(row.uid)}`;
  return el(
    "div",
    { class: "actions end" },
    link(`deliveries?subscription=${row.id}`, "Deliveries"),
    row.active && button("Send a test", () => sendTest(path)),
    button(row.active ? "Disable" : "Enable", async () => {
      await post(`${path}/${row.active ? "disable" : "enable"}`);
      await reload();
    }),
    button("Edit", () => editSubscription(row, path)),
    button("Rotate secret", () => rotate(path)),
    row.active && button("Resend failed", () => resendFailed(path)),
    button("Delete", () => deleteSubscription(row, path), { kind: "danger" }),
  );
}

/** @param {string} path */
async function sendTest(path) {
  /** @type {Api.One<Api.Delivery>} */
  const { result } = await post(`${path}/test`);
  tell("A test event is being sent");
  await go(`deliveries/${part(result.uid)}`);
}

/**
 * @param {Api.Subscription} row
 * @param {string} path
 */
async function editSubscription(row, path) {
  const done = await showDialog("Edit the subscription", (close) =>
    makeForm({
      fields: makeFields(row),
      submit: "Save",
      cancel: () => close(null),
      send: async (values) => close(await put(path, values)),
    }),
  );
  if (done) await reload();
}

/** @param {string} path */
async function rotate(path) {
  const text =
    "A new secret signs from now on. The old one signs too for 24 hours, so that the receiver can be changed.";
  if (!(await confirmFirst("Rotate the secret?", text, "Rotate", "primary"))) return;
  /** @type {{ signing_secret: string }} */
  const answer = await post(`${path}/rotate_secret`);
  await showSecret("The new signing secret", KEEP_IT, answer.signing_secret);
}

/**
 * Ask for a range, count what failed in it, and send that again.
 *
 * @param {string} path
 */
async function resendFailed(path) {
  const fields = [
    textField("since", "From", { type: "datetime-local", hint: "Empty: from the beginning." }),
    textField("until", "To", { type: "datetime-local", hint: "Empty: until now." }),
  ];
  /** @type {Api.Query | null} */
  const range = await showDialog("Resend failed events", (close) =>
    makeForm({
      fields,
      submit: "Count",
      cancel: () => close(null),
      send: ({ since, until }) => close({ since: writeMoment(since), until: writeMoment(until) }),
    }),
  );
  if (!range) return;
  /** @type {{ count: number }} */
  const { count: failed } = await get(`${path}/resend`, { query: range });
  if (!failed) return tell("No event failed in this period");
  if (
    !(await confirmFirst(
      "Send them again?",
      `${count(failed, "event")} failed in this time.`,
      `Resend ${count(failed, "event")}`,
      "primary",
    ))
  )
    return;
  /** @type {{ count: number }} */
  const sent = await post(`${path}/resend`, undefined, { query: range });
  tell(`${count(sent.count, "event")} on the way`);
}

/** @param {string} local */
const writeMoment = (local) => (local ? new Date(local).toISOString() : null);

/**
 * @param {Api.Subscription} row
 * @param {string} path
 */
async function deleteSubscription(row, path) {
  if (
    !(await confirmFirst(
      "Delete the subscription?",
      `“${row.name}” is told nothing more, and its deliveries are forgotten.`,
      "Delete",
    ))
  )
    return;
  await remove(path);
  await reload();
  tell("The subscription is deleted");
}
