// The newest result of a query, whose columns and rows a chart is made of before it has run.

import { part } from "../http/addresses.js";
import { get, getRow } from "../http/api.js";
import { ApiError } from "../http/errors.js";
import { MAX_CHART_ROWS } from "./chart_checks.js";

/**
 * Find the newest result of a query that is still kept; null if it has none.
 *
 * @param {Pick<Api.Block, "uid">} block
 * @param {AbortSignal} signal
 * @returns {Promise<Ui.ChartRows | null>}
 */
export async function findChartRows(block, signal) {
  /** @type {Api.BlockResult[]} */
  const results = await getRow(`api/v1/block/${part(block.uid)}/results/`, { signal });
  const newest = results.find((one) => one.status === "success");
  if (!newest) return null;
  const whose = newest.report_run_id === null ? `block_run/${newest.run_id}` : `run/${newest.report_run_id}`;
  const base = `app/results/${whose}/${part(block.uid)}`;
  try {
    /** @type {Api.Rows} */
    const { columns, row_count } = await get(`${base}/rows`, { query: { limit: 1 }, signal });
    return { columns, row_count, read: () => readRows(base, row_count, signal) };
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null; // the result was deleted
    throw error;
  }
}

/**
 * @param {string} base
 * @param {number} count
 * @param {AbortSignal} signal
 * @returns {Promise<unknown[]>}
 */
async function readRows(base, count, signal) {
  if (count > MAX_CHART_ROWS)
    throw new Error(
      `${count} rows are too many for a chart, which accepts ${MAX_CHART_ROWS}: aggregate them.`,
    );
  /** @type {{ data: unknown[] }} */
  const { data } = await get(`${base}/download`, { query: { format: "json" }, signal });
  return data;
}

/**
 * Choose how the values of a column are drawn, by its type.
 *
 * @param {string} type
 * @param {boolean} isMeasured Whether it has the values, not what they are of.
 */
export function chooseType(type, isMeasured = false) {
  if (/^(date|timestamp)/.test(type)) return "temporal";
  if (/^(float|double|half|decimal)/.test(type)) return "quantitative";
  if (/^u?int/.test(type)) return isMeasured ? "quantitative" : "ordinal";
  return "nominal";
}
