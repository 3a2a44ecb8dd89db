// What comes on the connection of a live page, and when it is opened again.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  choosePause,
  readEvents,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/http/live_events.js";

test("an event has the version of all runs, and a comment has none", () => {
  assert.deepEqual(readEvents("event: runs\ndata: a1\n\n"), { version: "a1", rest: "" });
  assert.deepEqual(readEvents(": the service is there\n\n"), { version: null, rest: "" });
  assert.equal(readEvents(": data: not\r\n\r\nevent: runs\r\ndata: a1\r\n\r\n").version, "a1");
  assert.equal(readEvents("event: runs\ndata: \n\n").version, "");
  assert.equal(readEvents("data: a1\n\ndata: a2\n\n: later\n\n").version, "a2");
});

test("an event that arrives in pieces is read when it is complete, and once", () => {
  const whole = ": a\n\nevent: runs\ndata: a1\n\n";
  for (let cut = 0; cut <= whole.length; cut += 1) {
    const first = readEvents(whole.slice(0, cut));
    const second = readEvents(first.rest + whole.slice(cut));
    assert.deepEqual(
      [first.version, second.version].filter((one) => one !== null),
      ["a1"],
      String(cut),
    );
    assert.equal(second.rest, "");
  }
});

test("attempts are made later and later, up to half a minute, and never at once", () => {
  const latest = [1, 2, 3, 4, 5, 6, 100].map((failures) => choosePause(failures, 1));
  assert.deepEqual(latest, [1, 2, 4, 8, 16, 30, 30]);
  assert.equal(choosePause(1, 0), 0.5);
  assert.equal(choosePause(100, 0), 15);
});
