// What the list of blocks says of blocks.

import assert from "node:assert/strict";
import { test } from "node:test";
import { describeMark } from "../../../../airflow_provider_pushmetrics/service/web/page/assets/blocks/block_summary.js";

test("a mark has a name whatever was written for it", () => {
  assert.equal(describeMark("bar"), "bar");
  assert.equal(describeMark({ type: "line", point: true }), "line");
  for (const mark of [undefined, null, {}, { type: null }, { type: {} }, 7, [], ""])
    assert.equal(typeof describeMark(mark), "string", JSON.stringify(mark));
  assert.equal(describeMark(null), "several marks");
});
