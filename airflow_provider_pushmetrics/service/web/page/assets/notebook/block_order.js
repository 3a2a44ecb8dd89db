// What follows from the references between blocks: how deep each stands, what uses it, and why a result is old.

import { isolate, listNames } from "../elements/format.js";

/**
 * Find how deep each block stands: behind all that it uses. Blocks in a circle stand where they are met first.
 *
 * @param {readonly Pick<Api.BlockReferences, "name" | "uses">[]} blocks
 * @returns {Map<string, number>}
 */
export function findDepths(blocks) {
  const uses = new Map(blocks.map((block) => [block.name, block.uses]));
  /** @type {Map<string, number>} */
  const depths = new Map();
  const open = new Set();
  const find = (/** @type {string} */ name) => {
    const known = depths.get(name);
    if (known !== undefined) return known;
    if (open.has(name)) return -1;
    open.add(name);
    let depth = 0;
    for (const one of uses.get(name) ?? []) depth = Math.max(depth, find(one) + 1);
    open.delete(name);
    depths.set(name, depth);
    return depth;
  };
  for (const { name } of blocks) find(name);
  return depths;
}

/**
 * List what must run so that a block and all that use it are new: blocks that nothing else of these uses. A run of
 * a block runs what it uses, too.
 *
 * @param {readonly Pick<Api.BlockReferences, "name" | "uses" | "upstream">[]} blocks In the order of the page.
 * @param {string} from
 * @returns {string[]}
 */
export function listLeaves(blocks, from) {
  const after = blocks.filter(({ name, upstream }) => name === from || upstream.includes(from));
  const used = new Set(after.flatMap(({ name, uses }) => uses.filter((one) => one !== name)));
  return after.map(({ name }) => name).filter((name) => !used.has(name));
}

/**
 * Say what is wrong with the references of a block; empty if nothing is.
 *
 * @param {Api.References} references
 * @param {string} uid Of the block.
 */
export function describeFaults({ blocks, circle }, uid) {
  const found = blocks.find((one) => one.uid === uid);
  if (!found) return "";
  return [
    found.unknown.length > 0 && `Unknown names: ${listNames(found.unknown)}.`,
    circle.includes(found.name) && `Circular references: ${circle.map(isolate).join(" → ")}.`,
  ]
    .filter(Boolean)
    .join(" ");
}

/**
 * Say why a result is old; empty if it is not.
 *
 * @param {string} name Of the block.
 * @param {Pick<Api.NewestResult, "changed" | "gone">} since The blocks that were changed since, and those that are gone.
 * @param {readonly string[]} differing The parameters that had other values, with them.
 */
export function describeAge(name, { changed, gone }, differing) {
  const others = changed.filter((one) => one !== name);
  return [
    changed.includes(name) && "this block was changed since",
    others.length > 0 && `${listNames(others)} ${others.length === 1 ? "was" : "were"} changed since`,
    gone.length > 0 && `${listNames(gone)} ${gone.length === 1 ? "was" : "were"} renamed or deleted since`,
    differing.length > 0 && `it ran with ${differing.join(", ")}`,
  ]
    .filter(Boolean)
    .join("; ");
}
