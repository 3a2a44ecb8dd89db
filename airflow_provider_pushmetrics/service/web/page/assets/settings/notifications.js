// The mail server and Slack, which the environment of the service configures, and messages that test them.

import { card, el, fill } from "../elements/dom.js";
import { isolate } from "../elements/format.js";
import { makeForm, textField } from "../elements/forms.js";
import { link } from "../elements/router.js";
import { part } from "../http/addresses.js";
import { get, getRow, post } from "../http/api.js";
import { pause } from "../http/waiting.js";

const MAX_POLLS = 40;

/** @type {Ui.Show} */
export async function showNotifications(_, signal) {
  /** @type {Api.User} */
  const me = await get("api/v1/user/current", { signal });
  const head = el("h1", {}, "Notifications");
  if (me.main_role.name !== "Admin")
    return [head, el("p", {}, "An Admin of the workspace sees and tests the mail server and Slack.")];
  /** @type {Api.NotificationSettings} */
  const { mail, slack } = await getRow("api/v1/notification/", { signal });
  return [
    head,
    el(
      "p",
      { class: "hint intro" },
      "Mails and Slack messages are sent by the servers that the service was started with. They are set by environment variables and cannot be changed here.",
    ),
    makeMailCard(mail, me.email, signal),
    makeSlackCard(slack, signal),
  ];
}

/**
 * @param {Api.MailServer | null} mail
 * @param {string} email
 * @param {AbortSignal} signal
 */
function makeMailCard(mail, email, signal) {
  if (!mail)
    return card(
      "Mail",
      makeMissing(
        "There is no mail server: mails are kept under Messages, and not sent. Start the service and its workers with ",
        ["PUSHMETRICS_SERVICE_SMTP_HOST", "PUSHMETRICS_SERVICE_SMTP_SENDER"],
      ),
    );
  const recipient = textField("recipient", "Recipient", { type: "email", required: true, value: email });
  return card(
    "Mail",
    makeFacts([
      ["Server", `${mail.host}:${mail.port}`],
      ["Encryption", mail.security],
      ["Sender", mail.sender],
      ["Login", mail.user ?? "none"],
    ]),
    makeTest(recipient, "Send a test mail", "api/v1/notification/mail/test", signal),
  );
}

/**
 * @param {Api.SlackConnection | null} slack
 * @param {AbortSignal} signal
 */
function makeSlackCard(slack, signal) {
  if (!slack)
    return card(
      "Slack",
      makeMissing(
        "There is no connection to Slack: blocks that post to it fail. Start the service and its workers with ",
        ["PUSHMETRICS_SERVICE_SLACK_TOKEN"],
      ),
    );
  const channel = textField("channel", "Channel", {
    required: true,
    maxlength: 81,
    hint: "Its name or id, such as #reports. The bot must be a member of it.",
  });
  return card(
    "Slack",
    makeFacts([
      ["API", slack.base_url],
      ["Token", "set"],
    ]),
    makeTest(channel, "Post a test message", "api/v1/notification/slack/test", signal),
  );
}

/**
 * @param {string} text
 * @param {string[]} variables
 */
const makeMissing = (text, variables) =>
  el(
    "p",
    { class: "hint" },
    text,
    variables.flatMap((name, index) => [index ? " and " : "", el("code", {}, name)]),
    ".",
  );

/** @param {[string, Ui.Child][]} facts */
const makeFacts = (facts) =>
  el(
    "dl",
    { class: "facts" },
    facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", { class: "address" }, value))),
  );

/**
 * Make the form of a test, and show under it what became of the message.
 *
 * @param {Ui.Field<string, HTMLInputElement>} field
 * @param {string} submit
 * @param {string} path
 * @param {AbortSignal} signal
 */
function makeTest(field, submit, path, signal) {
  const outcome = el("div", { role: "status" });
  const form = makeForm({
    fields: [field],
    submit,
    kind: "quiet",
    async send(values) {
      fill(outcome);
      /** @type {Api.One<Api.Message>} */
      const { result } = await post(path, values);
      fill(outcome, el("p", { class: "hint" }, "The test message is being sent…"));
      try {
        fill(outcome, makeOutcome(await follow(result, signal)));
      } catch (error) {
        fill(outcome, el("p", { class: "hint" }, "What became of it is under ", makeMessagesLink(), "."));
        throw error;
      }
    },
  });
  return el("div", { class: "stack" }, form, outcome);
}

/**
 * Read a message until its first attempt was made.
 *
 * @param {Api.Message} message
 * @param {AbortSignal} signal
 * @returns {Promise<Api.Message>}
 */
async function follow(message, signal) {
  let row = message;
  for (let polls = 0; row.status === "pending" && !row.error && polls < MAX_POLLS; polls += 1) {
    await pause(polls, signal);
    row = await getRow(`api/v1/message/${part(message.uid)}`, { signal });
  }
  return row;
}

const makeMessagesLink = () => link("settings/messages", "Messages");

/** @param {Api.Message} row */
function makeOutcome(row) {
  const isSent = row.status === "sent";
  const server = row.kind === "mail" ? "the mail server" : "Slack";
  const text = {
    sent: `${row.kind === "mail" ? "The mail server" : "Slack"} accepted the message to ${isolate(row.recipient)}.`,
    failed: row.error ?? "The message was not sent.",
    kept: `The worker of the service has no connection to ${server}: it needs the same environment variables.`,
    pending: row.error ?? "No worker has sent the message yet.",
  }[row.status];
  const kind = isSent ? "good" : row.status === "pending" && !row.error ? "warn" : "bad";
  return el(
    "div",
    { class: `outcome ${kind}` },
    el("p", {}, el("strong", {}, isSent ? "Sent. " : "Not sent. "), text, " ", makeMessagesLink()),
  );
}
