// Which of several drawings of one place is shown.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DrawingTurns } from "../../../../airflow_provider_pushmetrics/service/web/page/assets/charts/drawing_turns.js";

/** A drawing that is ready when the test says so; it notes that it was ended. */
function makeDrawing() {
  const drawing = {
    isEnded: false,
    isBegun: false,
    finish: () => {},
    fail: (/** @type {Error} */ _error) => {},
  };
  /** @type {Promise<() => void>} */
  const ready = new Promise((resolve, reject) => {
    drawing.finish = () =>
      resolve(() => {
        drawing.isEnded = true;
      });
    drawing.fail = reject;
  });
  const draw = () => {
    drawing.isBegun = true;
    return ready;
  };
  return Object.assign(drawing, { draw });
}

test("a drawing that is ready after a newer one is ended, and the newer one stays", async () => {
  const turns = new DrawingTurns();
  const [first, second] = [makeDrawing(), makeDrawing()];
  const early = turns.show(turns.begin(), first.draw);
  const late = turns.show(turns.begin(), second.draw);
  second.finish();
  assert.equal(await late, true);
  first.finish();
  assert.equal(await early, false);
  assert.deepEqual([first.isEnded, second.isEnded], [true, false]);
  turns.clear();
  assert.equal(second.isEnded, true);
});

test("a drawing that is ready after a fault was found in newer text is ended, and does not count as shown", async () => {
  const turns = new DrawingTurns();
  const drawing = makeDrawing();
  const showing = turns.show(turns.begin(), drawing.draw);
  turns.begin(); // the newer text cannot be drawn
  turns.clear();
  drawing.finish();
  assert.equal(await showing, false);
  assert.equal(drawing.isEnded, true);
});

test("a new drawing ends the one that is shown, and one that is over is not even begun", async () => {
  const turns = new DrawingTurns();
  const [first, second, third] = [makeDrawing(), makeDrawing(), makeDrawing()];
  first.finish();
  assert.equal(await turns.show(turns.begin(), first.draw), true);
  const isOver = turns.begin();
  assert.equal(first.isEnded, false); // it stays until the next one is drawn
  second.finish();
  assert.equal(await turns.show(isOver, second.draw), true);
  assert.equal(first.isEnded, true);
  const old = turns.begin();
  turns.begin();
  assert.equal(await turns.show(old, third.draw), false);
  assert.deepEqual([third.isBegun, second.isEnded], [false, false]);
});

test("the fault of a drawing is told only while it is the newest", async () => {
  const turns = new DrawingTurns();
  const [first, second] = [makeDrawing(), makeDrawing()];
  const early = turns.show(turns.begin(), first.draw);
  const late = turns.show(turns.begin(), second.draw);
  first.fail(new Error("too late"));
  assert.equal(await early, false);
  second.fail(new Error("no such field"));
  await assert.rejects(late, /no such field/);
});

test("what is being drawn when its place is left is ended", async () => {
  const turns = new DrawingTurns();
  const drawing = makeDrawing();
  const showing = turns.show(turns.begin(), drawing.draw);
  turns.stop();
  drawing.finish();
  assert.equal(await showing, false);
  assert.equal(drawing.isEnded, true);
});
