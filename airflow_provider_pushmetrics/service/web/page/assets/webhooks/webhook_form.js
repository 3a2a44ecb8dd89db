// The form of a webhook: which events are sent where.

import { checkField, groupField, listField, makeForm, textField } from "../elements/forms.js";
import { showDialog, showSecret } from "../elements/notices.js";
import { go, reload } from "../elements/router.js";
import { part } from "../http/addresses.js";
import { post, put } from "../http/api.js";
import { EVENTS } from "./events.js";

export const KEEP_IT =
  "The receiver verifies events with it. It is shown only once: store it in the receiver's settings.";

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

/** Create a webhook, show its secret once, and go to its page. */
export async function createWebhook() {
  /** @type {{ signing_secret: string, result: Api.Subscription } | null} */
  const answer = await showDialog("New webhook", (close) =>
    makeForm({
      fields: makeFields(),
      submit: "Create",
      cancel: () => close(null),
      send: async (values) => close(await post("api/v1/webhook_subscription/", values)),
    }),
  );
  if (!answer) return;
  await showSecret("The signing secret", KEEP_IT, answer.signing_secret);
  await go(`webhooks/${part(answer.result.uid)}`);
}

/**
 * @param {Api.Subscription} row
 * @param {string} path
 */
export async function editWebhook(row, path) {
  const done = await showDialog("Edit the webhook", (close) =>
    makeForm({
      fields: makeFields(row),
      submit: "Save",
      cancel: () => close(null),
      send: async (values) => close(await put(path, values)),
    }),
  );
  if (done) await reload();
}
