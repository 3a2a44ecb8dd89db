// Running a block and all blocks that use it, directly and indirectly.

import { runAlone } from "../blocks/block_trial.js";
import { nameBlocks } from "../blocks/block_view.js";
import { confirmRunOfSaved } from "../drafts/draft_notes.js";
import { confirmFirst } from "../elements/notices.js";
import { listLeaves } from "./block_order.js";

const SENDERS = new Set(["email", "slack"]);

/**
 * Run a block and what uses it, as they are saved, one after the other. Who would send messages by that is asked.
 *
 * @param {Api.Block} block
 * @param {Ui.BlockContext} context
 */
export async function runFrom(block, context) {
  const { report, state, blocks } = context;
  if (!(await confirmRunOfSaved(nameBlocks(report)))) return;
  const names = listLeaves(state.saved.blocks, block.name);
  const leaves = blocks.filter((one) => names.includes(one.name) && one.type !== "parameter");
  const senders = leaves.filter(({ type }) => SENDERS.has(type)).map(({ name }) => name);
  const text = `These blocks send messages: ${senders.join(", ")}.`;
  if (senders.length && !(await confirmFirst("Run and send?", text, "Run", "primary"))) return;
  for (const leaf of leaves) await runAlone(leaf, context, null);
}
