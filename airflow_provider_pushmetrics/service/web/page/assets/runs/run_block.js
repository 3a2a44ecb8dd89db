// What one block gave in a run.

import { elapsed } from "../elements/clock.js";
import { el, fill, keepFocus } from "../elements/dom.js";
import { isolate, state } from "../elements/format.js";
import { invalidate, updateChildren } from "../elements/redraw.js";
import { part } from "../http/addresses.js";
import { makeChart } from "../results/chart.js";
import { makeProse } from "../results/prose.js";
import { makeRows } from "../results/rows.js";
import { canSend, describeDelivery, makeSendButton } from "./messages.js";
import { nameState } from "./run_states.js";

/**
 * @param {Api.Run} run
 * @param {Ui.ShownResult} result
 * @param {Ui.OutputSettings} settings
 */
export function makeRunBlock(run, result, settings) {
  const base = `app/results/run/${run.id}/${part(result.block_uid)}`;
  return el(
    "li",
    { class: "card block", tabindex: "-1", "aria-label": `Block ${result.name}` },
    el(
      "div",
      { class: "block-head" },
      el("span", { class: "kind" }, result.type),
      el("h2", {}, result.name),
      state(nameState(run, result)),
      result.started_on && el("span", { class: "hint" }, elapsed(result.started_on, result.finished_on)),
    ),
    result.error && el("pre", { class: result.status === "failed" ? "fault" : "note" }, result.error),
    result.is_truncated &&
      el(
        "p",
        { class: "warning" },
        `Truncated after ${result.max_rows} ${result.max_rows === 1 ? "row" : "rows"}, which is the query’s limit.`,
      ),
    result.status === "success" && makeOutput(result, base, settings),
  );
}

/**
 * @param {Ui.ShownResult} result
 * @param {string} base
 * @param {Ui.OutputSettings} settings
 * @returns {Ui.Child}
 */
export function makeOutput(result, base, { onSend, ...settings }) {
  if (result.type === "sql")
    return makeRows(base, result.row_count ?? null, { name: result.name, ...settings });
  if (result.type === "chart") return makeChart(base, result.name, settings);
  if (result.type === "text" && result.output === null)
    return el("p", { class: "hint" }, "The text is no longer kept.");
  return makeTextOutput(result, onSend);
}

/**
 * Show the text of a block, as the Markdown that it is if the service made HTML of it; and what it sent.
 *
 * @param {Pick<Ui.ShownResult, "output" | "output_html" | "messages">} result
 * @param {() => unknown} [onSend] Called when a message is sent again.
 * @returns {Ui.Child}
 */
function makeTextOutput({ output, output_html, messages = [] }, onSend) {
  const list = el("ul", { class: "messages" });
  updateMessages(list, messages, onSend);
  return [output_html ? makeProse(output_html) : output && el("pre", { class: "output" }, output), list];
}

/**
 * Show what became of the messages of a block. Those of which nothing is new stay, and so do the focus and a selection in
 * them and around them.
 *
 * @param {HTMLElement} list
 * @param {readonly Api.SentMessage[]} messages
 * @param {() => unknown} [onSend]
 */
function updateMessages(list, messages, onSend) {
  list.hidden = !messages.length;
  updateChildren(list, messages, {
    getKey: (message) => message.uid,
    getLook: JSON.stringify,
    make: (message) => makeMessage(message, onSend),
  });
}

/**
 * Show what became of the messages of a block that is shown already.
 *
 * @param {Element | null | undefined} place What has the output.
 * @param {Pick<Ui.ShownResult, "messages">} result
 * @param {() => unknown} onSend
 */
export function showMessagesOf(place, { messages = [] }, onSend) {
  const list = place?.querySelector(":scope > .messages");
  if (list instanceof HTMLElement) updateMessages(list, messages, onSend);
}

/**
 * @param {Api.SentMessage} message
 * @param {() => unknown} [onSend]
 */
function makeMessage(message, onSend) {
  const fate = el(
    "span",
    { class: message.status === "failed" || message.status === "kept" ? "fault" : "hint" },
    describeDelivery(message),
  );
  const item = el("li", { tabindex: "-1" }, isolate(message.recipient), ": ", fate, " ");
  if (canSend(message)) {
    const again = makeSendButton(message, async () => {
      again.remove();
      fill(fate, describeDelivery({ status: "pending" }));
      keepFocus(item);
      if (item.parentElement) invalidate(item.parentElement, message.uid); // it may look as before the next time
      await onSend?.();
    });
    item.append(again);
  }
  return item;
}
