// What follows from the references between blocks.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  describeAge,
  describeFaults,
  findDepths,
  listLeaves,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/notebook/block_order.js";

/**
 * @param {string} name
 * @param {string[]} uses
 * @param {string[]} upstream
 */
const block = (name, uses = [], upstream = uses) => ({ name, uses, upstream });

const BLOCKS = [
  block("region"),
  block("base", ["region"]),
  block("top", ["base"], ["base", "region"]),
  block("words", ["top", "region"], ["top", "base", "region"]),
  block("alone"),
];

test("a block stands behind all that it uses", () => {
  assert.deepEqual(
    [...findDepths(BLOCKS)],
    [
      ["region", 0],
      ["base", 1],
      ["top", 2],
      ["words", 3],
      ["alone", 0],
    ],
  );
});

test("blocks in a circle have a depth too", () => {
  const depths = findDepths([block("a", ["b"]), block("b", ["a"]), block("c", ["b"])]);
  assert.deepEqual([...depths.keys()].sort(), ["a", "b", "c"]);
  assert.ok([...depths.values()].every((depth) => depth >= 0 && depth <= 3));
});

test("what runs from a block on are the blocks that nothing else uses", () => {
  assert.deepEqual(listLeaves(BLOCKS, "region"), ["words"]);
  assert.deepEqual(listLeaves([...BLOCKS, block("chart", ["base"], ["base", "region"])], "base"), [
    "words",
    "chart",
  ]);
  assert.deepEqual(listLeaves(BLOCKS, "alone"), ["alone"]);
  assert.deepEqual(listLeaves(BLOCKS, "words"), ["words"]);
});

test("an old result says why it is old", () => {
  assert.equal(describeAge("top", { changed: [], gone: [] }, []), "");
  assert.equal(describeAge("top", { changed: ["top"], gone: [] }, []), "this block was changed since");
  assert.equal(
    describeAge("top", { changed: ["base"], gone: [] }, ["region EMEA"]),
    "base was changed since; it ran with region EMEA",
  );
  assert.equal(
    describeAge("top", { changed: ["top", "a", "b"], gone: [] }, []),
    "this block was changed since; a, b were changed since",
  );
  assert.equal(describeAge("top", { changed: [], gone: ["base"] }, []), "base was renamed or deleted since");
});

test("names with marks of direction turn no sentence about them around", () => {
  const [turned, kept] = ["\u202eone", "\u2068\u202eone\u2069"];
  assert.equal(
    describeAge("top", { changed: [turned, "two"], gone: [turned] }, []),
    `${kept}, two were changed since; ${kept} was renamed or deleted since`,
  );
  const references = {
    blocks: [{ ...block(turned), uid: "u", unknown: [turned, "three"] }],
    circle: [turned, turned],
  };
  assert.equal(
    describeFaults(references, "u"),
    `Unknown names: ${kept}, three. Circular references: ${kept} → ${kept}.`,
  );
});
