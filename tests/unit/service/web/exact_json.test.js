// JSON whose numbers keep their digits.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ExactNumber,
  parseJson,
  writeJson,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/http/exact_json.js";

const UNLIKE = [
  "9007199254740993",
  "-12345678901234567890",
  "1.0",
  "0.10",
  "1E5",
  "1e+16",
  "1e-05",
  "1e999",
  "-0",
];

test("a number that JavaScript would change is written as it was read", () => {
  for (const number of UNLIKE) {
    const value = parseJson(number);
    assert.ok(value instanceof ExactNumber, number);
    assert.equal(String(value), number);
    for (const text of [number, `[${number}]`, `{"a":{"b":[1,${number},"x"]}}`])
      assert.equal(writeJson(parseJson(text)), text);
  }
});

test("all other JSON is what JSON.parse makes of it", () => {
  const texts = ["0", "7", "0.1", "1e+21", "true", "null", '"1.0"', '{"1.0":"a\\"9007199254740993"}', "[]"];
  for (const text of texts) assert.deepEqual(parseJson(text), JSON.parse(text), text);
});

test("digits within texts and keys stay what they are beside exact numbers", () => {
  const text = '{"1.0":"9007199254740993 \\" 1.0","exact:":"exact::","n":9007199254740993,"__proto__":1.0}';
  assert.equal(writeJson(parseJson(text)), text);
  assert.equal(parseJson(text)["1.0"], '9007199254740993 " 1.0');
});

test("no key of the text is taken for a number, also not one with escapes", () => {
  const text = '{"\\u0065xact":"1","exact:":"2","n":1.0}';
  assert.equal(writeJson(parseJson(text)), '{"exact":"1","exact:":"2","n":1.0}');
});

test("what is not JSON is refused", () => {
  for (const text of ["1.", "01", "[1", "9007199254740993]", "{1.0:2}", "NaN"])
    assert.throws(() => parseJson(text), SyntaxError, text);
});

test("values without exact numbers are written as JSON.stringify writes them", () => {
  const value = { a: [1, "exact:1", null], b: undefined };
  assert.equal(writeJson(value), JSON.stringify(value));
  assert.equal(writeJson(value, 2), JSON.stringify(value, null, 2));
  assert.equal(writeJson(undefined), undefined);
  assert.equal(writeJson({ a: new ExactNumber("1.0") }, 2), '{\n  "a": 1.0\n}');
});

test("JSON.stringify writes the digits too, as a text where it cannot write raw JSON", () => {
  const written = JSON.stringify([new ExactNumber("9007199254740993")]);
  assert.ok(['["9007199254740993"]', "[9007199254740993]"].includes(written));
});
