// The line of an error, as each database tells it. The messages are those of real databases.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  findErrorLine,
  shortenError,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/sql/sql_errors.js";

const NEAR =
  "You have an error in your SQL syntax; check the manual that corresponds to your MariaDB server version for the right syntax to use near";

/** @type {(error: string, sql: string, queries?: string[]) => number | null} */
const find = (error, sql, queries = []) => findErrorLine(error, sql, queries);

test("PostgreSQL and DuckDB show the line", () => {
  assert.equal(
    find('column "nope" does not exist\nLINE 2:   nope + 1\n          ^', "SELECT n,\n  nope + 1\nFROM t"),
    2,
  );
  assert.equal(
    find(
      'Parser Error: syntax error at or near "t"\n\nLINE 2: FORM t\n             ^',
      "SELECT 1\nFORM t\nx y z",
    ),
    2,
  );
  const long = ` GROUP BY n n n ,${" n,".repeat(80)} nope`;
  assert.equal(
    find(`syntax error\nLINE 3: ${long.slice(0, 70)}...\n      ^`, `SELECT n\n FROM t\n${long}`),
    3,
  );
});

test("a line with a placeholder is the line with what the database got in its place", () => {
  const sql = "SELECT {{ a }} AS a,\n {{ b }} AS b\nWHERE x y";
  assert.equal(find("syntax error\nLINE 2:  CAST($2 AS bigint) AS b\n   ^", sql), 2);
  assert.equal(find("syntax error\nLINE 2: something else\n   ^", sql), null);
  assert.equal(find("syntax error\nLINE 1: anything\n   ^", "{{ a }}\nFROM t"), null);
});

test("a line that is not the one that the database shows is not marked", () => {
  assert.equal(find("syntax error\nLINE 2: FORM t\n   ^", "SELECT 1\nFROM t"), null);
  assert.equal(find("syntax error\nLINE 9: FORM t\n   ^", "FORM t"), null);
});

test("SQL whose lines are not those that the database got has no mark", () => {
  const error = "syntax error\nLINE 2: FORM t\n   ^";
  assert.equal(find(error, "WITH a AS ({{ orders }}) SELECT 1\nFORM t", ["orders"]), null);
  assert.equal(find(error, "SELECT 1 {% if x %}\nFORM t"), null);
  assert.equal(find(error, "SELECT {{ x\n }}\nFORM t"), null);
  assert.equal(find(error, "SELECT 1 {# a remark #}\nFORM t"), 2);
});

test("MariaDB tells the line and the text from there", () => {
  assert.equal(find(`${NEAR} 't\nx y z' at line 2`, "SELECT 1\nFORM t\nx y z"), 2);
  assert.equal(find(`${NEAR} '' at line 2`, "SELECT 1\nFROM"), 2);
  assert.equal(find(`${NEAR} 'elsewhere' at line 2`, "SELECT 1\nFORM t"), null);
});

test("a name is marked where the SQL has it only once", () => {
  assert.equal(find("no such column: nope", "SELECT n,\n nope, 'nope' -- nope\nFROM t"), 2);
  assert.equal(find("no such column: nope", "SELECT nope,\n nope FROM t"), null);
  assert.equal(find('near "FORM": syntax error', "SELECT 1\nFORM t"), 2);
  assert.equal(find('near ")": syntax error', "SELECT 1\n) t"), 2);
  assert.equal(find("Unknown column 't.nope' in 'SELECT'", "SELECT\n t.nope FROM t"), 2);
  assert.equal(find("Table 'shop.no_table' doesn't exist", "SELECT 1\nFROM no_table"), 2);
  assert.equal(
    find('Binder Error: Referenced column "nope" not found in FROM clause!\nCandidates', "SELECT\n nope"),
    2,
  );
  assert.equal(find("out of memory", "SELECT 1"), null);
});

test("the excerpt is left out under the line itself", () => {
  assert.equal(shortenError('Parser Error: near "t"\n\nLINE 2: FORM t\n     ^'), 'Parser Error: near "t"');
  assert.equal(shortenError("no such column: n"), "no such column: n");
});
