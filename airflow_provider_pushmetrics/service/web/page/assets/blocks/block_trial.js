// Running one block alone, as it is saved or as it stands in its form.

import { listNames } from "../elements/format.js";
import { confirmFirst } from "../elements/notices.js";
import { part } from "../http/addresses.js";
import { post } from "../http/api.js";

const SENDERS = new Set(["email", "slack"]);

/**
 * Ask before a run sends messages; true if it is to, or if it sends none.
 *
 * @param {readonly Pick<Api.Block, "name" | "type">[]} blocks Those of the report.
 * @param {readonly string[]} names Of the blocks that run.
 */
export async function confirmSending(blocks, names) {
  const senders = blocks.filter(({ name, type }) => SENDERS.has(type) && names.includes(name));
  if (!senders.length) return true;
  const text = `These blocks send messages: ${listNames(senders.map(({ name }) => name))}.`;
  return confirmFirst("Run and send?", text, "Run", "primary");
}

/**
 * Start a run of a block with the values of the sidebar.
 *
 * @param {Pick<Api.Block, "uid">} block
 * @param {Ui.BlockContext} context
 * @param {Api.Content | null} content What runs in place of what is saved.
 * @returns {Promise<number>} The id of the run.
 */
export async function startAlone(block, { values }, content) {
  const body = { parameters: values.check(), ...(content ? { content_json: content } : {}) };
  /** @type {{ run_id: number }} */
  const { run_id } = await post(`api/v1/block/${part(block.uid)}/run`, body);
  return run_id;
}

/**
 * Run a block with the values of the sidebar, and wait until it has ended.
 *
 * @param {Pick<Api.Block, "uid">} block
 * @param {Ui.BlockContext} context
 * @param {Api.Content | null} content What runs in place of what is saved.
 * @param {(runId: number) => void} [whenStarted]
 * @returns {Promise<number>} The id of the run.
 */
export async function runAlone(block, context, content, whenStarted) {
  const runId = await startAlone(block, context, content);
  whenStarted?.(runId);
  await context.state.waitFor(runId);
  return runId;
}
