// Values as people read them.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  count,
  duration,
  isolate,
  listNames,
  number,
  quote,
  span,
  writeParameters,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/elements/format.js";

test("a length of time is written in its two largest units", () => {
  const expected = {
    0: "0 ms",
    0.0004: "0 ms",
    0.25: "250 ms",
    1: "1.0 s",
    59.94: "59.9 s",
    60: "1 min 0 s",
    119.4: "1 min 59 s",
    3600: "1 h 0 min",
    90061: "25 h 1 min",
  };
  for (const [seconds, text] of Object.entries(expected)) assert.equal(duration(Number(seconds)), text);
});

test("a length of time is never rounded to a unit that is full", () => {
  assert.equal(duration(0.9996), "1.0 s");
  assert.equal(duration(59.96), "1 min 0 s");
  assert.equal(duration(119.7), "2 min 0 s");
  assert.equal(duration(3599.6), "1 h 0 min");
  for (let seconds = 0; seconds < 8000; seconds += 0.37) {
    assert.doesNotMatch(duration(seconds), /^1000 ms|60\.0 s|\b60 s|\b60 min/, String(seconds));
  }
});

test("what is not known is a dash", () => {
  for (const unknown of [null, undefined]) {
    assert.equal(duration(unknown), "–");
    assert.equal(number(unknown), "–");
    assert.equal(span(unknown, unknown), "–");
  }
});

test("a span lasts from its start to its end", () => {
  assert.equal(span("2026-03-01T12:00:00+00:00", "2026-03-01T13:00:02+01:00"), "2.0 s");
});

test("one thing has the singular", () => {
  assert.equal(count(1, "row"), "1 row");
  assert.equal(count(0, "row"), "0 rows");
  assert.equal(count(2, "delivery", "deliveries"), "2 deliveries");
});

test("a name that turns text around is apart from the sentence that has it", () => {
  assert.equal(quote("Sales"), "“Sales”");
  assert.equal(isolate("größe 🙂"), "größe 🙂");
  for (const name of ["\u202eevil", "a\u200f", "שלום", "عربى 1"])
    assert.equal(isolate(name), `\u2068${name}\u2069`);
  // A mark that ends it would let the rest of the name out.
  assert.equal(quote("a\u2069\u202eb"), "“\u2068a\u202eb\u2069”");
  assert.equal(writeParameters({ a: "\u202eb", n: 1 }), "a=\u2068\u202eb\u2069, n=1");
});

test("parameters are written in one line, texts without quotes", () => {
  assert.equal(
    writeParameters({ region: "EMEA", days: 7, list: ["a", 1] }),
    'region=EMEA, days=7, list=["a",1]',
  );
  for (const none of [{}, null, undefined]) assert.equal(writeParameters(none), "–");
});

test("a name of a list turns neither the words around the list nor the names beside it", () => {
  assert.equal(listNames(["plain", 5, null]), "plain, 5, null");
  assert.equal(
    listNames(["a", "\u202eturned", "\u2067open"]),
    "a, \u2068\u202eturned\u2069, \u2068open\u2069",
  );
});
