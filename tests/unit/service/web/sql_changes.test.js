// Changes of the text in the SQL editor.

import assert from "node:assert/strict";
import { test } from "node:test";
import { findChange } from "../../../../airflow_provider_pushmetrics/service/web/page/assets/sql/sql_changes.js";

/** @type {(text: string, change: { from: number, to: number, insert: string }) => string} */
const apply = (text, { from, to, insert }) => text.slice(0, from) + insert + text.slice(to);

test("a change makes the second text of the first, for all short texts", () => {
  const texts = [""];
  for (const text of texts) if (text.length < 4) texts.push(`${text}a`, `${text}b`);
  for (const before of texts) {
    for (const after of texts) assert.equal(apply(before, findChange(before, after)), after);
  }
});

test("a change has only the part that differs", () => {
  assert.deepEqual(findChange("SELECT a FROM t", "SELECT b FROM t"), { from: 7, to: 8, insert: "b" });
  assert.deepEqual(findChange("aa", "aaa"), { from: 2, to: 2, insert: "a" });
  assert.deepEqual(findChange("same", "same"), { from: 4, to: 4, insert: "" });
});
