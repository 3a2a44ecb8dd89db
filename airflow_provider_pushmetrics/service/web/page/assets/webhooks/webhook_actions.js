// What is done with a webhook: sending a test, a new secret, sending events again, deleting it.

import { el, fill } from "../elements/dom.js";
import { count, moment, quote } from "../elements/format.js";
import { checkField, makeForm, textField } from "../elements/forms.js";
import { confirmFirst, showDialog, showSecret, tell } from "../elements/notices.js";
import { go, link } from "../elements/router.js";
import { part } from "../http/addresses.js";
import { get, getRow, post, remove } from "../http/api.js";
import { pause } from "../http/waiting.js";
import { KEEP_IT } from "./webhook_form.js";

const MOST_LOOKS = 40;
const FORMAT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/**
 * Send a test event and show what the endpoint answers.
 *
 * @param {string} path
 * @param {HTMLElement} place
 * @param {AbortSignal} signal
 */
export async function sendTest(path, place, signal) {
  fill(place, el("p", { class: "hint" }, "The test event is being sent…"));
  try {
    /** @type {Api.One<Api.Delivery>} */
    const { result } = await post(`${path}/test`);
    let row = await readDelivery(result.uid, signal);
    for (let tries = 0; !row.attempts.length && row.status === "pending" && tries < MOST_LOOKS; tries += 1) {
      await pause(tries, signal);
      row = await readDelivery(result.uid, signal);
    }
    fill(place, makeTestResult(row));
  } catch (error) {
    fill(place);
    throw error;
  }
}

/**
 * @param {string} uid
 * @param {AbortSignal} signal
 * @returns {Promise<Api.WholeDelivery>}
 */
const readDelivery = (uid, signal) => getRow(`api/v1/webhook_delivery/${part(uid)}`, { signal });

/** @param {Api.WholeDelivery} row */
function makeTestResult(row) {
  const attempt = row.attempts.at(-1);
  const more = link(`webhooks/deliveries/${part(row.uid)}`, `Delivery ${row.id}`);
  if (!attempt)
    return el(
      "div",
      { class: "outcome warn" },
      el("p", {}, "No worker has sent the test event yet. ", more, " shows when it was."),
    );
  const isGood = row.status === "delivered";
  const said = attempt.status_code
    ? `The endpoint answered ${attempt.status_code} in ${attempt.duration_ms} ms.`
    : `The endpoint did not answer: ${attempt.error}`;
  return el(
    "div",
    { class: `outcome ${isGood ? "good" : "bad"}` },
    el(
      "p",
      {},
      el("strong", {}, isGood ? "The test event was delivered. " : "The test event was not delivered. "),
      said,
      row.next_attempt_on && [" The next attempt is at ", moment(row.next_attempt_on), "."],
      " ",
      more,
    ),
    attempt.status_code && attempt.error && el("p", { class: "fault" }, attempt.error),
    attempt.answer && el("pre", { class: "code folded", tabindex: "0" }, attempt.answer),
  );
}

/** @param {string} path */
export async function rotateSecret(path) {
  const text =
    "A new secret signs from now on. The old one signs too for 24 hours, so that the receiver can be changed.";
  if (!(await confirmFirst("Rotate the secret?", text, "Rotate", "primary"))) return;
  /** @type {{ signing_secret: string, previous_valid_until: string }} */
  const answer = await post(`${path}/rotate_secret`);
  const until = FORMAT.format(new Date(answer.previous_valid_until));
  await showSecret(
    "The new signing secret",
    `${KEEP_IT} The old secret signs too until ${until}.`,
    answer.signing_secret,
  );
}

/**
 * Ask for a range, count the events in it, and send them again.
 *
 * @param {string} path
 * @param {() => unknown} whenDone
 */
export async function sendAgain(path, whenDone) {
  const fields = [
    textField("since", "From", { type: "datetime-local", hint: "Empty: from the beginning." }),
    textField("until", "To", { type: "datetime-local", hint: "Empty: until now." }),
    checkField("accepted", "Also events that the endpoint accepted", {
      hint: "For a receiver that lost them, such as one that was restored from a backup. It recognizes those that it still has.",
    }),
  ];
  /** @type {Api.Query | null} */
  const range = await showDialog("Send events again", (close) =>
    makeForm({
      fields,
      submit: "Count",
      cancel: () => close(null),
      send: ({ since, until, accepted }) =>
        close({
          since: writeMoment(since),
          until: writeMoment(until),
          include_delivered: accepted ? "true" : null,
        }),
    }),
  );
  if (!range) return;
  /** @type {{ count: number }} */
  const { count: found } = await get(`${path}/resend`, { query: range });
  const which = range.include_delivered ? "failed or accepted event" : "failed event";
  if (!found) return tell(`No ${which} in this period`);
  const events = count(found, "event");
  const text = `${count(found, which)} in this period.`;
  if (!(await confirmFirst("Send them again?", text, `Send ${events} again`, "primary"))) return;
  /** @type {{ count: number }} */
  const sent = await post(`${path}/resend`, undefined, { query: range });
  tell(`${count(sent.count, "event")} on the way`);
  await whenDone();
}

/** @param {string} local */
const writeMoment = (local) => (local ? new Date(local).toISOString() : null);

/**
 * @param {Api.Subscription} row
 * @param {string} path
 */
export async function deleteWebhook(row, path) {
  const text = `Nothing more is sent to ${quote(row.name)}, and its deliveries are deleted.`;
  if (!(await confirmFirst("Delete the webhook?", text, "Delete"))) return;
  await remove(path);
  await go("webhooks");
  tell("The webhook is deleted");
}
