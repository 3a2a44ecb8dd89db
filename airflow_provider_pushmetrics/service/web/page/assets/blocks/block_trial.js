// Running one block alone, and seeing what it gave.

import { button } from "../elements/buttons.js";
import { el, fill } from "../elements/dom.js";
import { isFinished, state } from "../elements/format.js";
import { part } from "../http/addresses.js";
import { getRow, post } from "../http/api.js";
import { describeError, isAbort } from "../http/errors.js";
import { pause } from "../http/waiting.js";
import { makeChart } from "../results/chart.js";
import { makeRows } from "../results/rows.js";
import { makeTextOutput } from "../runs/run_block.js";
import { askForParameters } from "../runs/run_form.js";

/**
 * Run a block as it is saved.
 *
 * @type {(place: HTMLElement, block: Api.Block, context: Ui.BlockContext) => Promise<unknown>}
 */
export const makeTrial = (place, block, context) => tryContent(place, block, context, null);

/**
 * Run a block, and give what it gave; `content` is what runs in place of what is saved.
 *
 * @param {HTMLElement} place
 * @param {Pick<Api.Block, "uid" | "name" | "type">} block
 * @param {Ui.BlockContext} context
 * @param {Api.Content | null} content
 * @returns {Promise<Api.BlockResult | undefined>}
 */
export async function tryContent(place, block, context, content) {
  const { parameters } = (await askForParameters(context.blocks, `Run ${block.name} alone`)) ?? {};
  if (!parameters) return undefined;
  fill(place, el("p", { class: "hint", role: "status" }, "Running…"));
  try {
    const body = { parameters, ...(content ? { content_json: content } : {}) };
    /** @type {{ run_id: number }} */
    const { run_id } = await post(`api/v1/block/${part(block.uid)}/run`, body);
    fill(place, el("p", { class: "hint", role: "status" }, "Running… ", makeCancel(block, run_id)));
    const result = await waitForResult(block, run_id, context.signal);
    fill(
      place,
      showResult(block, run_id, result, () => fill(place)),
    );
    return result;
  } catch (error) {
    if (!isAbort(error)) fill(place, el("p", { class: "fault", role: "alert" }, describeError(error)));
    return undefined;
  }
}

/** @type {(block: { uid: string }, runId: number) => HTMLButtonElement} */
const makeCancel = (block, runId) =>
  button("Cancel", () => post(`api/v1/block/${part(block.uid)}/run/${runId}/cancel`), { kind: "quiet" });

/**
 * @param {{ uid: string }} block
 * @param {number} runId
 * @param {AbortSignal} signal
 * @returns {Promise<Api.BlockResult>}
 */
async function waitForResult(block, runId, signal) {
  for (let tries = 0; ; tries += 1) {
    const results = await fetchLast(block, signal);
    const found = results.find((one) => one.run_id === runId);
    if (found && (isFinished(found.status) || found.status === "not_run")) return found;
    await pause(tries, signal);
  }
}

/** @type {(block: { uid: string }, signal: AbortSignal) => Promise<Api.BlockResult[]>} */
const fetchLast = (block, signal) => getRow(`api/v1/block/${part(block.uid)}/results/`, { signal });

/**
 * @param {Pick<Api.Block, "uid" | "name" | "type">} block
 * @param {number} runId
 * @param {Api.BlockResult} result
 * @param {() => void} close
 */
function showResult(block, runId, result, close) {
  const base = `app/results/block_run/${runId}/${part(block.uid)}`;
  return el(
    "div",
    { class: "trial" },
    el(
      "div",
      { class: "block-head" },
      state(result.status),
      el("span", { class: "hint" }, `run alone, ${runId}`),
      el(
        "div",
        { class: "actions end" },
        el("button", { type: "button", class: "plain", onclick: close }, "Close"),
      ),
    ),
    result.error && el("pre", { class: "fault" }, result.error),
    result.status === "success" && block.type === "sql" && makeRows(base, result.row_count),
    result.status === "success" && block.type === "chart" && makeChart(base, block.name),
    result.status === "success" && !["sql", "chart"].includes(block.type) && makeTextOutput(result),
  );
}
