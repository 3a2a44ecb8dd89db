// Values of blocks, from the texts of fields and back.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  readChoices,
  readDefault,
  readJson,
  readNumber,
  writeChoices,
  writeDefault,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/blocks/block_values.js";
import {
  parseJson,
  writeJson,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/http/exact_json.js";

test("a number that JavaScript would round stays a text", () => {
  assert.equal(
    readDefault("0.1000000000000000055511151231257827", "number"),
    "0.1000000000000000055511151231257827",
  );
});

test("an integer that JavaScript would round keeps its digits", () => {
  for (const type of ["integer", "any"])
    assert.equal(writeJson(readDefault("9007199254740993", type)), "9007199254740993");
  assert.equal(readDefault("42", "integer"), 42);
});

test("a list with an integer that JavaScript would round keeps its digits", () => {
  assert.equal(writeJson(readDefault("[1, 9007199254740993]", "list")), "[1,9007199254740993]");
  assert.deepEqual(readDefault('[1, "9007199254740993"]', "list"), [1, "9007199254740993"]);
});

test("of any type, a number that the service would round is refused", () => {
  for (const text of ["1e400", "[1e-400]", "0.12345678901234567890"]) {
    assert.throws(() => readDefault(text, "any"), /has too many digits/, text);
  }
  for (const value of [0, -0.5, 1e21, 0.1, 1.7976931348623157e308, 9007199254740992]) {
    assert.equal(readDefault(JSON.stringify(value), "any"), value);
  }
});

test("a text, a date and a timestamp are never read as JSON", () => {
  for (const type of ["text", "date", "timestamp"]) assert.equal(readDefault("2026", type), "2026");
});

test("a value of any type is JSON where it is, and a text where it is not", () => {
  assert.deepEqual(readDefault('{"a": [1, null]}', "any"), { a: [1, null] });
  assert.equal(readDefault("EMEA", "any"), "EMEA");
  assert.equal(readDefault("", "any"), null);
});

test("what is written is read as it was", () => {
  for (const value of [null, true, 0, 1.5, "EMEA", ["a", 1], { a: 1 }]) {
    assert.deepEqual(readDefault(writeDefault(value), "any"), value);
  }
  for (const choices of [null, ["a", "b"], { query: "regions of sales" }]) {
    assert.deepEqual(readChoices(writeChoices(choices), "text"), choices);
  }
});

test("a default with more digits than JavaScript has is shown and saved with all of them", () => {
  for (const text of ["9007199254740993", "1.0", "[9007199254740993]"])
    assert.equal(writeJson(readDefault(writeDefault(parseJson(text)), "any")), text);
  assert.equal(writeChoices([parseJson("9007199254740993")]), "9007199254740993");
});

test("choices are the lines that are not empty", () => {
  assert.deepEqual(readChoices(" 1 \n\n 2\n", "integer"), [1, 2]);
  assert.equal(readChoices(" \n", "any"), null);
});

test("a query is named only by a line that stands alone", () => {
  assert.deepEqual(readChoices("query: regions", "text"), { query: "regions" });
  assert.deepEqual(readChoices("query: regions\nother", "text"), ["query: regions", "other"]);
});

test("an empty field has no number", () => {
  assert.equal(readNumber(""), undefined);
  assert.equal(readNumber("0"), 0);
});

test("a specification that is no JSON is refused in words", () => {
  assert.throws(() => readJson("{"), /^Error: The specification is not JSON: /);
});

test("the numbers of a specification keep their digits", () => {
  const text = '{"mark":"bar","width":600.0,"id":9007199254740993}';
  assert.equal(writeJson(readJson(text)), text);
});
