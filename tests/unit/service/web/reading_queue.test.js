// Which of many results is read next.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ReadingQueue } from "../../../../airflow_provider_pushmetrics/service/web/page/assets/results/reading_queue.js";

/**
 * Make a queue of some places, and note in which order they are read.
 *
 * @param {number} most
 * @param {string[]} names
 */
function makeQueue(most, ...names) {
  /** @type {ReadingQueue<{ name: string }>} */
  const queue = new ReadingQueue(most);
  const places = new Map(names.map((name) => [name, { name }]));
  /** @type {string[]} */
  const begun = [];
  /** @type {Map<string, { resolve: (value?: unknown) => void, reject: (error: Error) => void }>} */
  const open = new Map();
  for (const place of places.values()) {
    queue.add(place, () => {
      begun.push(place.name);
      return new Promise((resolve, reject) => open.set(place.name, { resolve, reject }));
    });
  }
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return {
    queue,
    begun,
    mark: (/** @type {string} */ name, isNear = true) =>
      queue.mark(/** @type {{ name: string }} */ (places.get(name)), isNear),
    end: async (/** @type {string} */ name) => {
      open.get(name)?.resolve();
      await settle();
    },
    fail: async (/** @type {string} */ name) => {
      open.get(name)?.reject(new Error("no answer"));
      await settle();
    },
  };
}

test("only so many are read at a time, in the order of the page", async () => {
  const { queue, begun, end } = makeQueue(2, "a", "b", "c", "d");
  assert.deepEqual(begun, []);
  queue.readNext();
  queue.readNext();
  assert.deepEqual(begun, ["a", "b"]);
  await end("b");
  assert.deepEqual(begun, ["a", "b", "c"]);
  await end("a");
  await end("c");
  await end("d");
  assert.deepEqual(begun, ["a", "b", "c", "d"]);
});

test("what is near is read before all others, and not first any more when one has gone on", async () => {
  const { queue, begun, mark, end } = makeQueue(1, "a", "b", "c", "d", "e");
  mark("c");
  queue.readNext();
  assert.deepEqual(begun, ["c"]);
  mark("e");
  mark("d");
  mark("d", false);
  await end("c");
  assert.deepEqual(begun, ["c", "e"]);
  await end("e");
  assert.deepEqual(begun, ["c", "e", "a"]);
});

test("a place is read once, also if it is near again", async () => {
  const { queue, begun, mark, end } = makeQueue(2, "a", "b");
  mark("a");
  queue.readNext();
  mark("a", false);
  mark("a");
  queue.readNext();
  await end("a");
  await end("b");
  queue.readNext();
  assert.deepEqual(begun, ["a", "b"]);
});

test("a failure keeps none of the others from being read", async () => {
  const { queue, begun, fail, end } = makeQueue(1, "a", "b", "c");
  queue.readNext();
  await fail("a");
  await fail("b");
  await end("c");
  assert.deepEqual(begun, ["a", "b", "c"]);
});

test("what is added later is read when the rest is done", async () => {
  const { queue, begun, end } = makeQueue(1, "a");
  queue.readNext();
  await end("a");
  queue.add({ name: "late" }, async () => begun.push("late"));
  queue.readNext();
  await end("late");
  assert.deepEqual(begun, ["a", "late"]);
});

test("what is read only near what is seen waits until it is near", async () => {
  const { queue, begun, mark, end } = makeQueue(2, "a");
  const far = { name: "far" };
  queue.add(far, async () => begun.push("far"), { isOnlyNear: true });
  queue.readNext();
  await end("a");
  assert.deepEqual(begun, ["a"]);
  queue.mark(far, true);
  queue.mark(far, false);
  queue.readNext();
  assert.deepEqual(begun, ["a"]);
  queue.mark(far, true);
  queue.readNext();
  mark("a");
  queue.readNext();
  assert.deepEqual(begun, ["a", "far"]);
});

test("what is dropped is not read, also if it is near later", async () => {
  const { queue, begun, end } = makeQueue(1, "a", "b", "c");
  const [, second] = queue.places;
  queue.readNext();
  queue.drop([second]);
  queue.mark(second, true);
  await end("a");
  await end("c");
  assert.deepEqual([begun, queue.places], [["a", "c"], []]);
});

test("a read that hangs and is dropped is aborted, and others are read at once", async () => {
  const queue = new ReadingQueue(2);
  /** @type {AbortSignal[]} */
  const signals = [];
  const hanging = [{}, {}];
  for (const place of hanging) {
    queue.add(place, (signal) => {
      signals.push(signal);
      return new Promise(() => {});
    });
  }
  queue.readNext();
  /** @type {string[]} */
  const begun = [];
  const next = (/** @type {string} */ name) => async () => begun.push(name);
  queue.add({}, next("first"));
  queue.add({}, next("second"));
  queue.readNext();
  const countAborted = () => signals.filter(({ aborted }) => aborted).length;
  assert.deepEqual([begun, countAborted()], [[], 0]);
  queue.drop(hanging);
  assert.deepEqual([begun, countAborted()], [["first", "second"], 2]);
});

test("what ends after it was dropped gives no second turn", async () => {
  const { queue, begun, end } = makeQueue(1, "a", "b", "c");
  const [first] = queue.places;
  queue.readNext();
  queue.drop([first]);
  assert.deepEqual(begun, ["a", "b"]);
  await end("a");
  assert.deepEqual(begun, ["a", "b"]);
  await end("b");
  assert.deepEqual(begun, ["a", "b", "c"]);
});

test("a place that is read again after it was dropped keeps its turn when the first read ends", async () => {
  const queue = new ReadingQueue(1);
  const place = {};
  /** @type {(() => void)[]} */
  const ends = [];
  const read = () => new Promise((resolve) => ends.push(() => resolve(null)));
  queue.add(place, read);
  queue.readNext();
  queue.drop([place]);
  queue.add(place, read);
  queue.readNext();
  const others = [{}, {}];
  for (const other of others) queue.add(other, read);
  ends[0]();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(ends.length, 2);
  ends[1]();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(ends.length, 3);
});

test("of places that are dropped together none is read meanwhile", () => {
  const { queue, begun } = makeQueue(1, "a", "b", "c", "d");
  queue.readNext();
  queue.drop(queue.places.slice(0, 3));
  assert.deepEqual([begun, queue.places.map(({ name }) => name)], [["a", "d"], ["d"]]);
});
