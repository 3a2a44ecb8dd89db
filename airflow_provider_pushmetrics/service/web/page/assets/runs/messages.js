// Messages by mail and Slack: what was sent, what waits, and what was kept or could not be delivered.

import { button } from "../elements/buttons.js";
import { card, el, empty } from "../elements/dom.js";
import { listNames, moment, state } from "../elements/format.js";
import { tell } from "../elements/notices.js";
import { makeList } from "../elements/tables.js";
import { part } from "../http/addresses.js";
import { post } from "../http/api.js";

/** @type {Record<string, string>} */
const KINDS = { mail: "Mail", slack: "Slack" };

/** @type {Ui.Show} */
export async function showMessages(_, signal) {
  /** @type {Ui.ListView} */
  const list = makeList({
    path: "api/v1/message/",
    caption: "Messages",
    noun: "message",
    signal,
    isMoving: (message) => message.status === "pending",
    columns: [
      [
        "Message",
        (message) =>
          el(
            "details",
            {},
            el("summary", {}, getTitle(message)),
            el("pre", { class: "output" }, message.text),
            listFiles(message),
          ),
      ],
      ["By", (message) => KINDS[message.kind] ?? message.kind, "tight"],
      ["To", (message) => message.recipient],
      ["State", makeState],
      ["Written", (message) => moment(message.created_on), "tight"],
      ["", (message) => canSend(message) && makeSendButton(message, () => list.show()), "actions-cell"],
    ],
    whenEmpty: () =>
      empty(
        "There are no messages",
        "Email and Slack blocks, triggers and schedules send them. Without a mail server they are kept here.",
      ),
  });
  await list.show(0);
  return [el("h1", {}, "Messages"), card("Mail and Slack", list.node)];
}

/** @param {{ status: string }} message */
export const canSend = (message) => message.status === "kept" || message.status === "failed";

/**
 * Say what became of a message.
 *
 * @param {{ status: Api.MessageStatus, error?: string | null }} message
 */
export function describeDelivery(message) {
  if (message.status === "failed") return `kept, not delivered: ${message.error ?? "unknown error"}`;
  if (message.status === "kept") return "kept, not delivered: no server is configured for it";
  if (message.status === "pending" && message.error) return `waits for another attempt: ${message.error}`;
  return message.status === "sent" ? "sent" : "waits to be sent";
}

/**
 * @param {{ uid: string }} message
 * @param {() => unknown} after
 */
export function makeSendButton(message, after) {
  return button("Send again", async () => {
    await post(`api/v1/message/${part(message.uid)}/send`);
    tell("The message will be sent, if there is a server for it");
    await after?.();
  });
}

/** @param {Api.Message} message */
const getTitle = (message) => message.subject || message.text.split("\n")[0].slice(0, 120) || "(empty)";

/** @param {Api.Message} message */
const listFiles = (message) =>
  message.files.length > 0 && el("p", { class: "hint" }, "Files: ", listNames(message.files));

/**
 * @param {Api.Message} message
 * @returns {Ui.Child}
 */
function makeState(message) {
  return [state(message.status), message.error && el("div", { class: "fault" }, describeDelivery(message))];
}
