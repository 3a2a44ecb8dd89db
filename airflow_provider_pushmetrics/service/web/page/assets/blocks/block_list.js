// The blocks of a report, as its page, its runs and its form need them.

import { getAll } from "../http/api.js";
import { parseJson } from "../http/exact_json.js";

/** The types of blocks, with their words. @type {[Api.BlockType, string][]} */
export const TYPES = [
  ["parameter", "Parameter"],
  ["sql", "SQL"],
  ["text", "Text"],
  ["chart", "Chart"],
  ["email", "Email"],
  ["slack", "Slack"],
];

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
 * Read the content of a block. Its numbers keep their digits.
 *
 * @param {Api.BlockRow} row
 * @returns {Api.Block}
 */
export function readBlock(row) {
  return { ...row, content: parseJson(row.content_json) };
}
