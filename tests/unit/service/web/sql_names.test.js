// Names in SQL, as the editor reads and writes them.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  findTables,
  quoteName,
  quoteTable,
  readPath,
  readTemplate,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/sql/sql_names.js";

const TABLES = [
  { schema: "main", name: "orders" },
  { schema: "main", name: "Order lines" },
  { schema: "archive", name: "orders" },
];

/** @type {(text: string) => (string | null)[][]} */
const find = (text) => findTables(text, TABLES).map(({ table, alias }) => [table.schema, table.name, alias]);

test("a name has quotes where the database would read another one without them", () => {
  assert.equal(quoteName("carrier", "postgresql"), "carrier");
  assert.equal(quoteName("Carrier", "postgresql"), '"Carrier"');
  assert.equal(quoteName("Carrier", "duckdb"), "Carrier");
  assert.equal(quoteName("CARRIER", "oracle"), "CARRIER");
  assert.equal(quoteName("carrier", "oracle"), '"carrier"');
  assert.equal(quoteName("order", "sqlite"), '"order"');
  assert.equal(quoteName("a b", "mariadb"), "`a b`");
  assert.equal(quoteName("a`b", "mysql"), "`a``b`");
  assert.equal(quoteName('a"b', "duckdb"), '"a""b"');
  assert.equal(quoteName("", "duckdb"), '""');
});

test("a table has its schema before it unless the database looks there by itself", () => {
  assert.equal(quoteTable({ schema: "main", name: "orders" }, "duckdb"), "orders");
  assert.equal(quoteTable({ schema: "main", name: "orders" }, "mysql"), "main.orders");
  assert.equal(quoteTable({ schema: "my shop", name: "orders" }, "postgresql"), '"my shop".orders');
});

test("the tables of a text are found with their aliases, and not in texts, comments and placeholders", () => {
  assert.deepEqual(find("SELECT * FROM orders AS o"), [["main", "orders", "o"]]);
  assert.deepEqual(find("select o.x from ORDERS o where 1"), [["main", "orders", "o"]]);
  assert.deepEqual(find("SELECT * FROM orders WHERE x"), [["main", "orders", null]]);
  assert.deepEqual(find("SELECT * FROM archive.orders"), [["archive", "orders", null]]);
  assert.deepEqual(find('SELECT * FROM "Order lines" l, orders'), [
    ["main", "Order lines", "l"],
    ["main", "orders", null],
  ]);
  assert.deepEqual(find("SELECT 'orders' -- orders\n, /* orders */ '{{ orders }}', {{ orders }}"), []);
});

test("what stands before the cursor is a path and a word", () => {
  assert.deepEqual(readPath("SELECT car"), { path: [], word: "car" });
  assert.deepEqual(readPath("SELECT f.car"), { path: ["f"], word: "car" });
  assert.deepEqual(readPath('SELECT s."My table".'), { path: ["s", "My table"], word: "" });
  assert.deepEqual(readPath("SELECT "), { path: [], word: "" });
});

test("the cursor is in a placeholder from its opening to its end", () => {
  assert.equal(readTemplate("a = {{ car"), " car");
  assert.equal(readTemplate("a = {{ car }} and "), null);
  assert.equal(readTemplate("{% if x"), " if x");
  assert.equal(readTemplate("a = {{ x }} and b = {{"), "");
  assert.equal(readTemplate("SELECT 1"), null);
});

test("a long text without an end is read in little time", () => {
  assert.deepEqual(findTables(`${"{{".repeat(20000)}`, TABLES), []);
  assert.deepEqual(readPath("a.".repeat(20000)).word, "");
});
