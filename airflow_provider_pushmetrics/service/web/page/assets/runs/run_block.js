// What one block gave in a run.

import { elapsed } from "../elements/clock.js";
import { el, fill } from "../elements/dom.js";
import { state } from "../elements/format.js";
import { part } from "../http/addresses.js";
import { makeChart } from "../results/chart.js";
import { makeProse } from "../results/prose.js";
import { makeRows } from "../results/rows.js";
import { canSend, describeDelivery, makeSendButton } from "./messages.js";
import { nameState } from "./run_states.js";

/**
 * @param {Api.Run} run
 * @param {Ui.ShownResult} result
 * @param {() => void} onSend Called when one of its messages is sent again.
 */
export function makeRunBlock(run, result, onSend) {
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
    result.status === "success" && makeOutput(result, base, { onSend }),
  );
}

/**
 * @param {Ui.ShownResult} result
 * @param {string} base
 * @param {{ onSend: () => void } & Ui.ReadSettings} settings
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
 * @param {() => void} [onSend] Called when a message is sent again.
 * @returns {Ui.Child}
 */
export function makeTextOutput(result, onSend) {
  return [
    result.output_html
      ? makeProse(result.output_html)
      : result.output && el("pre", { class: "output" }, result.output),
    Boolean(result.messages?.length) &&
      el(
        "ul",
        { class: "messages" },
        result.messages?.map((message) => makeMessage(message, onSend)),
      ),
  ];
}

/**
 * @param {Api.SentMessage} message
 * @param {() => void} [onSend]
 */
function makeMessage(message, onSend) {
  const fate = el(
    "span",
    { class: message.status === "failed" || message.status === "kept" ? "fault" : "hint" },
    describeDelivery(message),
  );
  const item = el("li", {}, message.recipient, ": ", fate, " ");
  if (canSend(message)) {
    const again = makeSendButton(message, () => {
      again.remove();
      fill(fate, describeDelivery({ status: "pending" }));
      onSend?.();
    });
    item.append(again);
  }
  return item;
}
