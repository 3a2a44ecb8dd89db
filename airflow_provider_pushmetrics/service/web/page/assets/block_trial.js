// Running one block alone, and seeing what it gave.

import { part } from "./addresses.js";
import { getRow, post } from "./api.js";
import { button } from "./buttons.js";
import { makeChart } from "./chart.js";
import { el, fill } from "./dom.js";
import { FINISHED, state } from "./format.js";
import { makeRows } from "./rows.js";
import { makeTextOutput } from "./run_block.js";
import { askForParameters } from "./run_form.js";
import { pause } from "./waiting.js";

/** Run a block as it is saved. */
export const makeTrial = (place, block, context) => tryContent(place, block, context, null);

/** Run a block; `content` is what runs in place of what is saved. */
export async function tryContent(place, block, context, content) {
  const { parameters } = (await askForParameters(context.blocks, `Run ${block.name} alone`)) ?? {};
  if (!parameters) return;
  fill(place, el("p", { class: "hint", role: "status" }, "Running…"));
  try {
    const body = { parameters, ...(content ? { content_json: content } : {}) };
    const { run_id } = await post(`api/v1/block/${part(block.uid)}/run`, body);
    fill(place, el("p", { class: "hint", role: "status" }, "Running… ", makeCancel(block, run_id)));
    const result = await waitForResult(block, run_id, context.signal);
    fill(
      place,
      showResult(block, run_id, result, () => fill(place)),
    );
  } catch (error) {
    if (error.name !== "AbortError") fill(place, el("p", { class: "fault", role: "alert" }, error.message));
  }
}

const makeCancel = (block, runId) =>
  button("Cancel", () => post(`api/v1/block/${part(block.uid)}/run/${runId}/cancel`), { kind: "quiet" });

async function waitForResult(block, runId, signal) {
  for (let tries = 0; ; tries += 1) {
    const { last_results: older, result } = await fetchLast(block, signal);
    const found = [result, ...older].find((one) => one?.run_id === runId);
    if (found && (FINISHED.has(found.status) || found.status === "not_run")) return found;
    await pause(tries, signal);
  }
}

async function fetchLast(block, signal) {
  const rows = await getRow(`api/v1/block/${part(block.uid)}/results/`, { signal });
  return { result: rows[0], last_results: rows.slice(1) };
}

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
