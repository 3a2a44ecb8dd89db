// What one block gave in a run.

import { part } from "./api.js";
import { makeChart } from "./chart.js";
import { el } from "./dom.js";
import { duration, state } from "./format.js";
import { makeRows } from "./rows.js";

export function makeRunBlock(run, result) {
  const base = `app/results/run/${run.id}/${part(result.block_uid)}`;
  return el(
    "li",
    { class: "card block", "aria-label": `Block ${result.name}` },
    el(
      "div",
      { class: "block-head" },
      el("span", { class: "kind" }, result.type),
      el("h2", {}, result.name),
      state(result.status),
      typeof result.duration_seconds === "number" && el("span", { class: "hint" }, duration(result.duration_seconds)),
    ),
    result.error && el("pre", { class: "fault" }, result.error),
    result.is_truncated && el("p", { class: "warning" }, `Cut off after ${result.max_rows} rows, which is the query’s limit.`),
    result.status === "success" && makeOutput(result, base),
  );
}

function makeOutput(result, base) {
  if (result.type === "sql") return makeRows(base, result.row_count);
  if (result.type === "chart") return makeChart(base, result.name);
  if (!result.output) return null;
  return el("pre", { class: "output" }, result.output);
}
