// The webhook trigger of a report: its URL is hidden until somebody asks for it.

import { button } from "../elements/buttons.js";
import { card, el, fill } from "../elements/dom.js";
import { state } from "../elements/format.js";
import { choiceField, inRow, listField, makeForm } from "../elements/forms.js";
import { confirmFirst, copyText, makeCopyField, tell } from "../elements/notices.js";
import { reload } from "../elements/router.js";
import { part } from "../http/addresses.js";
import { getList, getRow, post, put, remove } from "../http/api.js";

/** @type {Ui.Option[]} */
const WHEN = [
  ["both", "success and failure"],
  ["success", "success"],
  ["failure", "failure"],
];

/**
 * @param {Api.Report} report
 * @param {AbortSignal} signal
 * @returns {Promise<Ui.Child>}
 */
export async function showTrigger(report, signal) {
  const { result } = await getList("api/v1/webhook/", {
    filters: [["report_id", "eq", report.id]],
    size: 100,
    signal,
  });
  if (!result.length) return card("Webhook trigger", makeFirst(report));
  return result.map((trigger) => card("Webhook trigger", makeTrigger(trigger)));
}

/** @param {Api.Report} report */
function makeFirst(report) {
  return [
    el(
      "p",
      {},
      "A GET or POST to its URL starts a run: from Airflow, a pipeline, or another tool. Parameters are in the query string or in JSON.",
    ),
    button(
      "Generate a trigger",
      async () => {
        await post("api/v1/webhook/", { report_id: report.id, active: true });
        await reload();
        tell("The trigger is ready");
      },
      { kind: "primary" },
    ),
  ];
}

/**
 * @param {Api.Trigger} trigger
 * @returns {Ui.Child}
 */
function makeTrigger(trigger) {
  const path = `api/v1/webhook/${part(trigger.uid)}`;
  const place = el("div", { class: "copy" });
  const hide = () =>
    fill(
      place,
      el("input", {
        type: "text",
        class: "code",
        value: "••••••••••••••••••••••••",
        readOnly: true,
        "aria-label": "Trigger URL, hidden",
      }),
      button("Show", show),
      button("Copy URL", copy),
    );
  const show = async () =>
    fill(place, makeCopyField("Trigger URL", (await getRow(path)).url), button("Hide", hide));
  const copy = async () => copyText((await getRow(path)).url, "Trigger URL");
  hide();
  return [
    el(
      "p",
      { class: "block-head" },
      state(trigger.active ? "enabled" : "disabled"),
      el("span", { class: "hint" }, "Whoever has the URL can start runs: keep it like a password."),
    ),
    place,
    el(
      "div",
      { class: "actions" },
      makeSwitch(trigger, path),
      button("Refresh token", () => refresh(path)),
      button("Delete", () => deleteTrigger(path), { kind: "danger" }),
    ),
    el("h3", {}, "Who is told of its runs"),
    makeNotifications(trigger, path),
  ];
}

/**
 * @param {Api.Trigger} trigger
 * @param {string} path
 */
function makeSwitch(trigger, path) {
  return button(trigger.active ? "Disable" : "Enable", async () => {
    await put(path, { active: !trigger.active });
    await reload();
    tell(trigger.active ? "The trigger is disabled: calls of its URL are refused" : "The trigger is enabled");
  });
}

/** @param {string} path */
async function refresh(path) {
  const text = "It gets a new URL. The old one stops working at once.";
  if (!(await confirmFirst("Refresh the token?", text, "Refresh"))) return;
  await put(path, { refresh_token: true });
  await reload();
  tell("The trigger has a new URL");
}

/** @param {string} path */
async function deleteTrigger(path) {
  if (!(await confirmFirst("Delete the trigger?", "Its URL stops working at once.", "Delete"))) return;
  await remove(path);
  await reload();
  tell("The trigger is deleted");
}

/**
 * @param {Api.Trigger} trigger
 * @param {string} path
 */
function makeNotifications(trigger, path) {
  const details = readDetails(trigger.details);
  let known = describeRecipients(trigger);
  const read = async () => describeRecipients(await getRow(path));
  return makeForm({
    thing: `trigger/${trigger.uid}/recipients`,
    isOutdated: async () => (await read()) !== known,
    kind: "quiet",
    fields: [
      ...inRow(
        listField("recipients", "Mail to", {
          value: trigger.recipients_json,
          hint: "Addresses, one per line.",
        }),
        choiceField("email_on", "Mail on", WHEN, { value: details.email_on ?? "both" }),
      ),
      ...inRow(
        listField("slack_recipients", "Slack to", {
          value: trigger.slack_recipients_json,
          hint: "Channels, one per line. Needs a Slack token.",
        }),
        choiceField("slack_on", "Slack on", WHEN, { value: details.slack_on ?? "both" }),
      ),
    ],
    submit: "Save recipients",
    async send({ recipients, slack_recipients, email_on, slack_on }) {
      await put(path, { recipients, slack_recipients, details: { ...details, email_on, slack_on } });
      known = await read();
      tell("Saved");
    },
  });
}

/** @param {Api.Trigger} trigger */
function describeRecipients({ recipients_json, slack_recipients_json, details }) {
  const { email_on = "both", slack_on = "both" } = readDetails(details);
  return JSON.stringify([recipients_json, slack_recipients_json, email_on, slack_on]);
}

/**
 * @param {Api.Trigger["details"]} details
 * @returns {Record<string, string>}
 */
function readDetails(details) {
  try {
    return (typeof details === "string" ? JSON.parse(details) : details) ?? {};
  } catch {
    return {};
  }
}
