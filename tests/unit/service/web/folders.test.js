// The tree of the folders of reports.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  buildTree,
  isWithin,
  splitPath,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/report_list/folders.js";

test("a folder counts what is below it, also if it has no report itself", () => {
  const tree = buildTree([
    { folder: "Finance/Weekly/EMEA", count: 2 },
    { folder: "Finance/Monthly", count: 1 },
    { folder: "Ops", count: 4 },
  ]);
  assert.deepEqual(
    tree.map(({ path, name, count }) => [path, name, count]),
    [
      ["Finance", "Finance", 3],
      ["Ops", "Ops", 4],
    ],
  );
  assert.deepEqual(
    tree[0].below.map(({ path, name, count }) => [path, name, count]),
    [
      ["Finance/Weekly", "Weekly", 2],
      ["Finance/Monthly", "Monthly", 1],
    ],
  );
});

test("a path with an empty name is one folder, since no other path leads to it", () => {
  for (const path of ["/a", "a/", "a//b", "/", " / "]) assert.deepEqual(splitPath(path), [path]);
  assert.deepEqual(splitPath("a/b c/d"), ["a", "b c", "d"]);
  assert.equal(buildTree([{ folder: "a//b", count: 1 }])[0].path, "a//b");
});

test("a folder is within itself and those above it, and not within one that only begins alike", () => {
  assert.ok(isWithin("a", "a"));
  assert.ok(isWithin("a/b", "a"));
  assert.ok(!isWithin("ab", "a"));
  assert.ok(!isWithin("a", "a/b"));
});
