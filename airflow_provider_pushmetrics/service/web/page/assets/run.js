// One run: what it does while it runs, and what it gave.

import { part } from "./addresses.js";
import { get, getRow, post } from "./api.js";
import { getBlocks } from "./block_list.js";
import { button } from "./buttons.js";
import { card, el, fill } from "./dom.js";
import { describeError, isAbort } from "./errors.js";
import { isFinished, moment, span, state, writeParameters } from "./format.js";
import { tell } from "./notices.js";
import { go, link } from "./router.js";
import { makeRunBlock } from "./run_block.js";
import { updateLog } from "./run_log.js";
import { getRunPath } from "./runs.js";
import { pause } from "./waiting.js";

/** How often the page looks for messages that wait for another attempt, which may come hours later. */
const MOST_LOOKS = 100;

/** @type {Ui.Show} */
export async function showRun({ run: reference }, signal) {
  const run = await getRow(`api/v1/noteflow_run/${reference}`, { signal });
  const view = makeView(run);
  await update(view, signal);
  follow(view, signal);
  return [
    el(
      "p",
      { class: "trail" },
      link("reports", "Reports"),
      " / ",
      link(`reports/${part(run.report_uid)}`, run.name),
      " / ",
      link(`reports/${part(run.report_uid)}/runs`, "Runs"),
    ),
    el("div", { class: "head" }, el("h1", {}, `Run ${run.id} of ${run.name}`), view.actions),
    view.facts,
    view.blocks,
    card("Log", view.log),
  ];
}

/**
 * @param {Api.Run} run
 * @returns {Ui.RunView}
 */
function makeView(run) {
  return {
    run,
    facts: el("div", { "aria-live": "polite" }),
    actions: el("div", { class: "actions" }),
    blocks: el("ol", { class: "blocks" }),
    log: el("ol", { class: "log", tabindex: "0" }),
    shown: new Map(),
    lastLine: 0,
    status: null,
    isSending: false,
    isFollowed: false,
  };
}

/**
 * Look at the run again and again until it has ended, and for some minutes until its messages are sent.
 *
 * @param {Ui.RunView} view
 * @param {AbortSignal} signal
 */
async function follow(view, signal) {
  if (view.isFollowed) return;
  view.isFollowed = true;
  try {
    for (let tries = 0; isMoving(view, tries); tries += 1) {
      await pause(tries, signal);
      await update(view, signal);
    }
  } catch (error) {
    if (!isAbort(error)) tell(describeError(error), "bad");
  } finally {
    view.isFollowed = false;
  }
}

/**
 * @param {Ui.RunView} view
 * @param {number} tries
 */
const isMoving = (view, tries) => !isFinished(view.status) || (view.isSending && tries < MOST_LOOKS);

/**
 * Show what becomes of a message of a block that is sent again.
 *
 * @param {Ui.RunView} view
 * @param {string} uid
 * @param {AbortSignal} signal
 */
function followMessage(view, uid, signal) {
  const shown = view.shown.get(uid);
  if (shown) shown.look = "";
  view.isSending = true;
  follow(view, signal);
}

/**
 * @param {Ui.RunView} view
 * @param {AbortSignal} signal
 */
async function update(view, signal) {
  const run = await getRow(`api/v1/noteflow_run/${view.run.id}`, { signal });
  await Promise.all([updateBlocks(view, run, signal), updateLog(view, run, signal)]);
  fill(view.facts, makeFacts(run));
  if (run.status !== view.status) fill(view.actions, makeActions(run));
  view.status = run.status;
}

/**
 * @param {Api.Run} run
 * @returns {Ui.Child}
 */
function makeFacts(run) {
  /** @type {[string, Ui.Child][]} */
  const facts = [
    ["State", state(run.status)],
    ["Began", moment(run.start_time)],
    ["Ended", moment(run.end_time)],
    ["Took", span(run.start_time, run.end_time)],
    ["Started by", run.started_by ?? run.origin],
    ["Parameters", el("span", { class: "code" }, writeParameters(run.parameters))],
  ];
  return [
    el(
      "dl",
      { class: "facts" },
      facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
    ),
    run.error && el("pre", { class: "fault" }, run.error),
  ];
}

/** @param {Api.Run} run */
function makeActions(run) {
  if (!isFinished(run.status)) {
    return button(
      "Cancel",
      async () => {
        await post(`api/v1/noteflow_run/${part(run.uid)}/cancel`);
        tell("The run is cancelled");
      },
      { kind: "danger" },
    );
  }
  return button(
    "Run again",
    async () => {
      /** @type {Api.One<Api.Run>} */
      const { result } = await post(`api/v1/noteflow_run/${part(run.uid)}/re_run`);
      await go(getRunPath(result));
    },
    { kind: "primary" },
  );
}

/**
 * @param {Ui.RunView} view
 * @param {Api.Run} run
 * @param {AbortSignal} signal
 */
async function updateBlocks(view, run, signal) {
  const outputs = isFinished(run.status) ? await getOutputs(run, signal) : null;
  /** @type {Api.TaskResult[]} */
  const begun = await getRow(`api/v1/noteflow_run/${part(run.uid)}/get_task_results`, { signal });
  const results = begun.map((result, index) => ({ ...result, ...(outputs?.[index] ?? {}) }));
  const rows = outputs ? results : await addWaiting(view, run, results, signal);
  if (outputs) dropUnfinished(view, results);
  view.isSending = rows.some((row) => row.messages?.some((message) => message.status === "pending"));
  for (const result of rows.filter(isShown)) {
    const seen = view.shown.get(result.block_uid);
    const look = JSON.stringify([result.status, Boolean(outputs), result.messages]);
    if (seen?.look === look) continue;
    const node = makeRunBlock(run, result, () => followMessage(view, result.block_uid, signal));
    if (seen) seen.node.replaceWith(node);
    else view.blocks.append(node);
    view.shown.set(result.block_uid, { node, look });
  }
}

/**
 * Get what each block of a run that has ended gave.
 *
 * @param {Api.Run} run
 * @param {AbortSignal} signal
 * @returns {Promise<Api.Output[]>}
 */
async function getOutputs(run, signal) {
  /** @type {Api.RunOutputs} */
  const { blocks } = await get(`api/reports/${run.report_id}/run/${run.id}`, { signal });
  return blocks;
}

/**
 * Forget blocks of which a run that has ended knows nothing.
 *
 * @param {Ui.RunView} view
 * @param {Ui.ShownResult[]} results
 */
function dropUnfinished(view, results) {
  for (const [uid, { node }] of view.shown) {
    if (results.some((result) => result.block_uid === uid)) continue;
    node.remove();
    view.shown.delete(uid);
  }
}

/**
 * A parameter stands above, among the run's parameters; unless it is what went wrong.
 *
 * @param {Ui.ShownResult} result
 */
const isShown = (result) =>
  result.type !== "parameter" || !["success", "pending", "running"].includes(result.status);

/**
 * Add the blocks that have not begun, as the report has them now.
 *
 * @param {Ui.RunView} view
 * @param {Api.Run} run
 * @param {Ui.ShownResult[]} results
 * @param {AbortSignal} signal
 * @returns {Promise<Ui.ShownResult[]>}
 */
async function addWaiting(view, run, results, signal) {
  const planned = view.planned ?? (await getBlocks({ id: run.report_id }, signal));
  view.planned = planned;
  const begun = new Map(results.map((result) => [result.block_uid, result]));
  /** @type {Ui.ShownResult[]} */
  const waiting = planned.map(
    (block) =>
      begun.get(block.uid) ?? { block_uid: block.uid, name: block.name, type: block.type, status: "pending" },
  );
  return [
    ...waiting,
    ...results.filter((result) => !planned.some((block) => block.uid === result.block_uid)),
  ];
}
