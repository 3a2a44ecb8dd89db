// Values of parameters in the form of a run.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  parseJson,
  writeJson,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/http/exact_json.js";
import {
  checkText,
  describeParameter,
  fitsOwnField,
  listValues,
  readValue,
  writeValue,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/runs/parameter_values.js";

const check = (type, text, content = {}) => checkText({ name: "top", content: { type, ...content } }, text);

test("texts that the service takes are accepted", () => {
  const right = {
    any: ["x", "[1", "{}"],
    text: ["x", "7", "true"],
    integer: ["7", "-7", "+7", "1_000", "12345678901234567890123"],
    number: ["7", "0.1", "-.5", "5.", "1e3", "1_000.5", "12345678901234567.89"],
    boolean: ["true", "False", "yes", "0"],
    date: ["2026-03-01", "2024-02-29", "0044-03-15"],
    timestamp: ["2026-03-01", "2026-03-01T12:00", "2026-03-01 12:00:00.5", "2026-03-01T12:00:00+01:00"],
  };
  for (const [type, texts] of Object.entries(right)) {
    for (const text of texts) assert.equal(check(type, text), null, `${type} ${text}`);
  }
});

test("a wrong text is refused by a sentence that names the parameter and what it takes", () => {
  assert.equal(check("integer", "seven"), "top must be a whole number, such as 12. “seven” is not.");
  const wrong = {
    integer: ["7.5", "1e3", "0x10", "7 8"],
    number: ["NaN", "1,5", "1.2.3", "e5"],
    boolean: ["maybe", "2"],
    date: ["2026-02-30", "2025-02-29", "1.3.2026", "2026-13-01"],
    timestamp: ["12:00", "2026-03-01T25:00", "2026-02-30T12:00"],
  };
  for (const [type, texts] of Object.entries(wrong)) {
    for (const text of texts)
      assert.match(check(type, text) ?? "accepted", /^top must be/, `${type} ${text}`);
  }
});

test("a value is missing only where one must be given", () => {
  assert.equal(check("integer", " "), null);
  assert.equal(check("integer", "", { required: true }), "Enter a value for top.");
});

test("each value of a list is checked", () => {
  const content = { multiple: true };
  assert.equal(check("integer", "1, 2,3", content), null);
  assert.match(check("integer", "1, two", content) ?? "", /^Each value of top must be .* “two” is not\.$/);
  assert.equal(check("integer", "[1, 2]", content), null);
  assert.match(check("integer", '["x"]', content) ?? "", /“x” is not/);
});

test("a value is written as it can be read again", () => {
  assert.equal(writeValue({}, null), "");
  assert.equal(writeValue({}, "EMEA"), "EMEA");
  assert.equal(writeValue({}, 7), "7");
  assert.equal(writeValue({}, { a: 1 }), '{"a":1}');
  assert.equal(writeValue({ multiple: true }, ["a", "b"]), "a, b");
  assert.equal(writeValue({ multiple: true }, [1, 2]), "1, 2");
  for (const values of [["a,b"], [" a"], [""], [["a"]], ["[1"]])
    assert.equal(writeValue({ multiple: true }, values), JSON.stringify(values));
});

test("a list that a URL gave as text is shown as the values that the service reads", () => {
  const content = { type: "text", multiple: true };
  assert.deepEqual(listValues("a, b"), ["a", "b"]);
  assert.deepEqual(listValues('["a,b"]'), ["a,b"]);
  assert.deepEqual(listValues(" "), []);
  assert.deepEqual(listValues(null), []);
  assert.deepEqual(listValues(7), [7]);
  assert.equal(writeValue(content, "a,b"), "a, b");
  assert.equal(writeValue(content, '["a", "b"]'), "a, b");
});

test("a text that was not changed stands for the value that it was made of", () => {
  const content = { type: "number", default: 12.5 };
  assert.equal(readValue(content, "12.5", "12.5", undefined), undefined);
  assert.equal(readValue(content, "7", "7", 7), 7);
  assert.equal(readValue(content, "8", "7", 7), "8");
});

test("a value that is cleared is not the default again", () => {
  assert.equal(readValue({ type: "number", default: 1 }, "", "1", undefined), null);
  assert.equal(readValue({ type: "text", default: "a" }, "", "a", undefined), "");
  assert.equal(readValue({ type: "text", multiple: true, default: ["a"] }, "", "a", undefined), null);
  assert.equal(readValue({ type: "text" }, "", "", undefined), undefined);
});

test("a moment with a zone is not put into a field that has none", () => {
  const content = { type: "timestamp" };
  assert.equal(fitsOwnField(content, "2026-03-01T12:00:00"), true);
  assert.equal(fitsOwnField(content, ""), true);
  for (const text of ["2026-03-01T12:00:00+01:00", "2026-03-01T12:00:00.5", "{{ today }}"])
    assert.equal(fitsOwnField(content, text), false);
  assert.equal(fitsOwnField({ type: "date" }, "2026-02-30"), false);
  assert.equal(fitsOwnField({ type: "integer" }, "7"), true);
});

test("numbers that JavaScript would round are shown and sent with all their digits", () => {
  const run = parseJson('{"id":9007199254740993,"ids":[9007199254740993,1.0],"any":{"a":1.0}}');
  assert.equal(writeValue({ type: "integer" }, run.id), "9007199254740993");
  assert.equal(writeValue({ type: "integer", multiple: true }, run.ids), "9007199254740993, 1.0");
  assert.equal(writeValue({}, run.any), '{"a":1.0}');
  const unchanged = readValue({ type: "integer" }, "9007199254740993", "9007199254740993", run.id);
  assert.equal(writeJson({ id: unchanged }), '{"id":9007199254740993}');
  assert.equal(describeParameter({ type: "integer", default: run.id }), "integer, default 9007199254740993");
});

test("what a parameter takes is described", () => {
  assert.equal(describeParameter({}), "any type");
  assert.equal(describeParameter({ multiple: true }), "list of any type, with commas between");
  assert.equal(
    describeParameter({ type: "integer", required: true, default: 0 }),
    "integer, required, default 0",
  );
  assert.equal(
    describeParameter({ type: "text", multiple: true, default: ["a", "b"] }),
    "list of text, with commas between, default a, b",
  );
});
