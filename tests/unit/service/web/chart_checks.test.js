// What the service will refuse of a chart is said while it is written.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  findChartFault,
  readColumn,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/charts/chart_checks.js";
import { listLines } from "../../../../airflow_provider_pushmetrics/service/web/page/assets/charts/tip.js";

const encoding = { x: { field: "a" }, y: { aggregate: "count", field: "*" } };

test("a field is a path into a column", () => {
  const columns = Object.entries({
    a: "a",
    "a b": "a b",
    "a.b": "a",
    "a\\.b": "a.b",
    "a[0].b": "a",
    "a\\[0\\]": "a[0]",
    "['a.b']": "a.b",
    "": "",
  });
  for (const [field, column] of columns) assert.equal(readColumn(field), column);
});

test("what can be right is not refused", () => {
  for (const spec of [
    { mark: "bar", encoding },
    { mark: "bar", encoding: { x: { field: "b\\.c" } } },
    { mark: "bar", transform: [], encoding: { x: { field: "z" } } },
    { layer: [{ data: { values: [{ z: 1 }] }, mark: "rule", encoding: { y: { field: "z" } } }] },
    { mark: "bar", data: { values: [{ field: "z", href: "x", mark: "image" }] } },
    { mark: { type: "bar" }, title: "href", data: null },
  ])
    assert.equal(findChartFault(spec, ["a", "b.c"]), null, JSON.stringify(spec));
});

test("what loads something, draws nothing or has fields that are no columns is refused", () => {
  for (const [spec, fault] of [
    [{ encoding }, /draws nothing/],
    [{ mark: "bar", data: { url: "x" } }, /data\.url/],
    [{ mark: "bar", transform: [{ lookup: "a", from: { data: { url: "x" } } }] }, /data\.url/],
    [{ layer: [{ mark: { type: "image" } }] }, /image/],
    [{ mark: "image" }, /image/],
    [{ mark: { type: "bar", href: "javascript:alert(1)" } }, /href/],
    [{ mark: "bar", data: { sequence: { start: 0, stop: 1e9 } } }, /data\.sequence/],
    [{ mark: "bar", encoding: { x: { field: "A" } } }, /“A” is not a column of the query: a, b\.c\./],
    [{ layer: [{ mark: "bar", encoding: { x: { sort: { field: "b.c" } } } }] }, /“b\.c” is not a column/],
  ])
    assert.match(findChartFault(spec, ["a", "b.c"]), fault);
});

test("a tooltip has texts of bounded length and number", () => {
  assert.deepEqual(listLines(null), []);
  assert.deepEqual(listLines("<b>"), [["", "<b>"]]);
  assert.deepEqual(listLines({ image: "http://x/y.png", n: 1, o: { a: 1 } }), [
    ["image", "http://x/y.png"],
    ["n", "1"],
    ["o", '{"a":1}'],
  ]);
  assert.equal(listLines({ a: "x".repeat(500) })[0][1].length, 201);
  assert.equal(listLines(Object.fromEntries(Array.from({ length: 99 }, (_, n) => [n, n]))).length, 20);
});
