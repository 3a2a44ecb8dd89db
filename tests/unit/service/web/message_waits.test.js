// How long a page goes on asking what became of messages.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  MessageWaits,
  MOST_MESSAGE_READS,
} from "../../../../airflow_provider_pushmetrics/service/web/page/assets/runs/message_waits.js";

/** @type {(uid: string, status?: "pending" | "sent" | "kept" | "failed") => { uid: string, status: any }} */
const message = (uid, status = "pending") => ({ uid, status });

/**
 * @param {MessageWaits} waits
 * @param {{ uid: string, status: any }[]} messages
 */
function countReads(waits, messages) {
  let reads = 0;
  while (waits.mayAskAgain(messages)) {
    waits.count += 1;
    reads += 1;
  }
  return reads;
}

test("a page asks while a message waits, and not when all are sent, kept or failed", () => {
  const waits = new MessageWaits();
  assert.equal(waits.mayAskAgain([]), false);
  assert.equal(waits.mayAskAgain([message("a", "sent"), message("b")]), true);
  assert.equal(
    waits.mayAskAgain([message("a", "kept"), message("b", "failed"), message("c", "sent")]),
    false,
  );
});

test("a message that waits for hours is asked about for some minutes", () => {
  const waits = new MessageWaits();
  assert.equal(countReads(waits, [message("a"), message("b")]), MOST_MESSAGE_READS);
  assert.equal(waits.mayAskAgain([message("b"), message("a")]), false);
});

test("a message that is sent again is asked about anew", () => {
  const waits = new MessageWaits();
  countReads(waits, [message("a")]);
  assert.equal(waits.mayAskAgain([message("a", "failed")]), false);
  assert.equal(countReads(waits, [message("a")]), MOST_MESSAGE_READS);
  assert.equal(countReads(waits, [message("a"), message("b")]), MOST_MESSAGE_READS);
});
