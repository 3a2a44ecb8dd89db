// Whom a trigger notifies of the runs that its calls start.

import { choiceField, inRow, listField, makeForm } from "../elements/forms.js";
import { tell } from "../elements/notices.js";
import { getRow, put } from "../http/api.js";

/** @type {Ui.Option[]} */
const WHEN = [
  ["both", "success and failure"],
  ["success", "success"],
  ["failure", "failure"],
];

/**
 * @param {Api.Trigger} trigger
 * @param {string} path
 */
export function makeNotifications(trigger, path) {
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
      // What others have put into the details since stays there.
      const now = readDetails((await getRow(path)).details);
      await put(path, { recipients, slack_recipients, details: { ...now, email_on, slack_on } });
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
