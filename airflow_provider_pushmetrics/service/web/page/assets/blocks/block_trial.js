// Running one block alone, as it is saved or as it stands in its form.

import { part } from "../http/addresses.js";
import { post } from "../http/api.js";

/**
 * Run a block with the values of the sidebar, and wait until it has ended.
 *
 * @param {Pick<Api.Block, "uid">} block
 * @param {Ui.BlockContext} context
 * @param {Api.Content | null} content What runs in place of what is saved.
 * @param {(runId: number) => void} [whenStarted]
 * @returns {Promise<number>} The id of the run.
 */
export async function runAlone(block, { state, values }, content, whenStarted) {
  const body = { parameters: values.check(), ...(content ? { content_json: content } : {}) };
  /** @type {{ run_id: number }} */
  const { run_id } = await post(`api/v1/block/${part(block.uid)}/run`, body);
  whenStarted?.(run_id);
  await state.waitFor(run_id);
  return run_id;
}
