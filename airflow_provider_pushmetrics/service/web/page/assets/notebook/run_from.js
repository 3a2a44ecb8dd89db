// Running a block and all blocks that use it, directly and indirectly.

import { confirmSending, startAlone } from "../blocks/block_trial.js";
import { nameBlocks } from "../blocks/block_view.js";
import { confirmRunOfSaved } from "../drafts/draft_notes.js";
import { isolate } from "../elements/format.js";
import { tell } from "../elements/notices.js";
import { listLeaves } from "./block_order.js";

/**
 * Run a block and what uses it, as they are saved. Who would send messages by that is asked. All runs are started
 * before the first has ended: they go on when the page is left.
 *
 * @param {Api.Block} block
 * @param {Ui.BlockContext} context
 */
export async function runFrom(block, context) {
  const { report, state, blocks } = context;
  if (!(await confirmRunOfSaved(nameBlocks(report)))) return;
  const saved = state.saved.blocks;
  const names = listLeaves(saved, block.name);
  const leaves = blocks.filter((one) => names.includes(one.name) && one.type !== "parameter");
  if (!leaves.length)
    return tell(`Nothing was run: no block that can run uses ${isolate(block.name)}`, "bad");
  const upstream = saved.filter(({ name }) => names.includes(name)).flatMap((one) => one.upstream);
  if (!(await confirmSending(blocks, [...names, ...upstream]))) return;
  const runs = [];
  for (const leaf of leaves) runs.push(await startAlone(leaf, context, null));
  for (const run of runs) await state.waitFor(run);
}
