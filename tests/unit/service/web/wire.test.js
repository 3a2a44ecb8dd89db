// Calls of a service that hangs: nothing waits for it for ever.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import {
  ApiError,
  isAbort,
  isOutage,
  NO_ANSWER,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/http/errors.js";
import {
  reach,
  readMessage,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/http/wire.js";

const { fetch: realFetch } = globalThis;
/** @type {ReadableStreamDefaultController<Uint8Array>} */
let line;

/**
 * Let the other side begin an answer, or none, and send no more than the test puts on the line.
 *
 * @param {{ isAnswered: boolean }} settings
 */
function hang({ isAnswered }) {
  globalThis.fetch = (_, { signal } = {}) =>
    new Promise((resolve, reject) => {
      assert.ok(signal);
      signal.addEventListener("abort", () => reject(signal.reason));
      if (!isAnswered) return;
      const body = new ReadableStream({
        start(controller) {
          line = controller;
          signal.addEventListener("abort", () => controller.error(signal.reason));
        },
      });
      resolve(new Response(body, { status: 200 }));
    });
}

/** Let all that can go on do so; the clock of the test stands still meanwhile. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

/**
 * @param {Promise<unknown>} call
 * @returns {Promise<{ ended: boolean, error?: unknown, value?: unknown }>}
 */
async function look(call) {
  /** @type {{ ended: boolean, error?: unknown, value?: unknown }} */
  let found = { ended: false };
  call.then(
    (value) => {
      found = { ended: true, value };
    },
    (error) => {
      found = { ended: true, error };
    },
  );
  await settle();
  return found;
}

/** @param {unknown} error */
function assertNoAnswer(error) {
  assert.ok(error instanceof ApiError);
  assert.deepEqual([error.status, error.message, isOutage(error)], [0, NO_ANSWER, true]);
}

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"] }));
afterEach(() => {
  mock.timers.reset();
  globalThis.fetch = realFetch;
});

const CASES = [
  {
    isUnasked: true,
    isAnswered: false,
    seconds: 30,
    what: "a read that nobody asked for, which is not answered,",
  },
  { isUnasked: false, isAnswered: false, seconds: 120, what: "a call that somebody waits for" },
  { isUnasked: true, isAnswered: true, seconds: 120, what: "a read whose answer has begun" },
  { isUnasked: false, isAnswered: true, seconds: 120, what: "a call whose answer has begun" },
];

for (const { isUnasked, isAnswered, seconds, what } of CASES)
  test(`${what} ends as an outage after ${seconds} s`, async () => {
    hang({ isAnswered });
    const call = reach("api/v1/report/", { method: "POST", body: "{}", isUnasked });
    await settle();
    mock.timers.tick(seconds * 1000 - 1);
    assert.equal((await look(call)).ended, false);
    mock.timers.tick(1);
    assertNoAnswer((await look(call)).error);
  });

test("an answer that comes slowly is read to its end", async () => {
  hang({ isAnswered: true });
  const call = reach("app/notebook/a", { isUnasked: true });
  const now = Date.now();
  for (const letter of "äöü") {
    await settle();
    mock.timers.tick(20_000);
    line.enqueue(new TextEncoder().encode(letter));
  }
  line.close();
  const answer = await call;
  assert.deepEqual([answer.ok, answer.status, answer.text], [true, 200, "äöü"]);
  assert.equal(answer.begunAt, now, "the clock of the service is read by it");
});

test("a call whose page was left ends as such, and not as an outage", async () => {
  for (const isAnswered of [false, true]) {
    hang({ isAnswered });
    const page = new AbortController();
    const call = reach("app/notebook/a", { isUnasked: true, signal: page.signal });
    await settle();
    page.abort();
    assert.ok(isAbort((await look(call)).error));
  }
});

test("an answer without a body is an empty text", async () => {
  globalThis.fetch = async () => new Response(null, { status: 204 });
  assert.equal((await reach("app/session", { method: "DELETE" })).text, "");
});

test("an error without a message of the service has none", () => {
  assert.equal(readMessage('{"message": "No such report"}'), "No such report");
  for (const text of ["", "null", "<html>502", "[]", '"text"', "{}"]) assert.equal(readMessage(text), "");
});
