// The blocks of a report, as its page, its runs and its form need them.

import { getAll } from "../http/api.js";
import { parseJson } from "../http/exact_json.js";

/**
 * Get the blocks of a report in the order of the page, each with its content.
 *
 * @param {{ id: number }} report
 * @param {AbortSignal} [signal]
 * @returns {Promise<Api.Block[]>}
 */
export async function getBlocks(report, signal) {
  const rows = await getAll("api/v1/block/", { filters: [["report_id", "eq", report.id]], signal });
  return rows.map(readBlock).sort((a, b) => a.position - b.position);
}

/**
 * Read the content of a block. Its values keep their digits; charts, which draw numbers, have those of JavaScript.
 *
 * @param {Api.BlockRow} row
 * @returns {Api.Block}
 */
export function readBlock(row) {
  const parse = row.type === "chart" ? JSON.parse : parseJson;
  return { ...row, content: parse(row.content_json) };
}
