// The blocks of a report, as its page, its runs and its form need them.

import { getAll } from "../http/api.js";

/**
 * Get the blocks of a report in the order of the page, each with its content.
 *
 * @param {{ id: number }} report
 * @param {AbortSignal} [signal]
 * @returns {Promise<Api.Block[]>}
 */
export async function getBlocks(report, signal) {
  const rows = await getAll("api/v1/block/", { filters: [["report_id", "eq", report.id]], signal });
  return rows
    .map((row) => ({ ...row, content: JSON.parse(row.content_json) }))
    .sort((a, b) => a.position - b.position);
}
