// What the list of blocks says of blocks.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  describeMark,
  splitMarks,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/blocks/block_summary.js";

test("a mark has a name whatever was written for it", () => {
  assert.equal(describeMark("bar"), "bar chart");
  assert.equal(describeMark({ type: "line", point: true }), "line chart");
  for (const mark of [undefined, null, {}, { type: null }, { type: {} }, 7, [], ""])
    assert.equal(typeof describeMark(mark), "string", JSON.stringify(mark));
  assert.equal(describeMark(null), "chart with several marks");
});

test("the marks of direction of a text stand alone, with their names, and nothing of it is lost", () => {
  const text = "SELECT '\u202eadmin\u202c' -- \u061c";
  const parts = splitMarks(text);
  assert.equal(parts.map((part) => part.text).join(""), text);
  assert.deepEqual(
    parts.map(({ mark }) => mark),
    [null, "U+202E", null, "U+202C", null, "U+061C"],
  );
  assert.deepEqual(splitMarks("عربى"), [{ text: "عربى", mark: null }]);
  assert.deepEqual(splitMarks(""), []);
});
