// One run: what it does while it runs, and what it gave.

import { button } from "../elements/buttons.js";
import { elapsed } from "../elements/clock.js";
import { card, el, fill } from "../elements/dom.js";
import { isFinished, moment, state, writeParameters } from "../elements/format.js";
import { tell } from "../elements/notices.js";
import { replaceKeeping, updateChildren } from "../elements/redraw.js";
import { go, link } from "../elements/router.js";
import { part } from "../http/addresses.js";
import { endureOutage, get, getRow, post } from "../http/api.js";
import { ApiError, describeError, isAbort } from "../http/errors.js";
import { watchRuns } from "../http/live.js";
import { pause } from "../http/waiting.js";
import { MOST_MESSAGE_READS } from "./message_waits.js";
import { makeRunBlock, showMessagesOf } from "./run_block.js";
import { runReport } from "./run_form.js";
import { updateLog } from "./run_log.js";
import { describeLook } from "./run_states.js";
import { makeSummary } from "./run_summary.js";
import { getRunPath } from "./runs.js";

/** @type {Ui.Show} */
export async function showRun({ run: reference }, signal) {
  const run = await getRow(`api/v1/noteflow_run/${reference}`, { signal });
  const view = makeView(run);
  await show(view, run, { signal });
  if (!isFinished(view.status)) watchRuns(() => updateUnfinished(view, signal), signal);
  followMessages(view, signal);
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
    view.summary.node,
    view.blocks,
    card("Log", view.log),
  ];
}

/**
 * @param {Api.Run} run
 * @returns {Ui.RunView}
 */
function makeView(run) {
  /** @type {Ui.RunView} */
  const view = {
    run,
    shownFacts: "",
    facts: el("div", { "aria-live": "polite" }),
    actions: el("div", { class: "actions" }),
    summary: makeSummary((uid) => showBlock(view, uid)),
    blocks: el("ol", { class: "blocks" }),
    log: el("ol", { class: "log", tabindex: "0" }),
    lastLine: 0,
    status: null,
    isSending: false,
    isFollowed: false,
  };
  return view;
}

/**
 * @param {Ui.RunView} view
 * @param {AbortSignal} signal
 */
async function updateUnfinished(view, signal) {
  if (isFinished(view.status)) return;
  await update(view, { signal, isUnasked: true });
  if (isFinished(view.status)) followMessages(view, signal);
}

/**
 * Look again for some minutes until the messages of a run that has ended are sent.
 *
 * @param {Ui.RunView} view
 * @param {AbortSignal} signal
 */
async function followMessages(view, signal) {
  if (view.isFollowed || !isFinished(view.status)) return;
  view.isFollowed = true;
  try {
    for (let tries = 0; view.isSending && tries < MOST_MESSAGE_READS; tries += 1) {
      await pause(tries, signal);
      await endureOutage(update(view, { signal, isUnasked: true }));
    }
  } catch (error) {
    const isSignedOut = error instanceof ApiError && error.status === 401; // which the page says already
    if (!isAbort(error) && !isSignedOut) tell(describeError(error), "bad");
  } finally {
    view.isFollowed = false;
  }
}

/**
 * Show what becomes of a message that is sent again.
 *
 * @param {Ui.RunView} view
 * @param {AbortSignal} signal
 */
function followMessage(view, signal) {
  view.isSending = true;
  followMessages(view, signal);
}

/**
 * @param {Ui.RunView} view
 * @param {Ui.CallSettings & { signal: AbortSignal }} settings
 */
async function update(view, settings) {
  await show(view, await getRow(`api/v1/noteflow_run/${view.run.id}`, settings), settings);
}

/**
 * Show a run as it was read now.
 *
 * @param {Ui.RunView} view
 * @param {Api.Run} run
 * @param {Ui.CallSettings & { signal: AbortSignal }} settings
 */
async function show(view, run, settings) {
  await Promise.all([updateBlocks(view, run, settings), updateLog(view, run, settings)]);
  // Not by the text on the page, in which the clock goes on.
  const facts = JSON.stringify([run.status, run.start_time, run.end_time, run.error]);
  if (view.shownFacts !== facts) fill(view.facts, makeFacts(run));
  view.shownFacts = facts;
  if (run.status !== view.status) {
    const actions = el("div", { class: "actions" }, makeActions(run));
    replaceKeeping(view.actions, actions);
    view.actions = actions;
  }
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
    ["Started", moment(run.start_time)],
    ["Ended", moment(run.end_time)],
    ["Duration", elapsed(run.start_time, run.end_time)],
    ["Started by", run.started_by ?? run.origin],
    ["Parameters", el("span", { class: "code" }, writeParameters(run.parameters))],
  ];
  return [
    el(
      "dl",
      { class: "facts" },
      facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
    ),
    run.error && el("pre", { class: run.status === "cancelled" ? "note" : "fault" }, run.error),
  ];
}

/**
 * @param {Api.Run} run
 * @returns {Ui.Child}
 */
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
  const report = { id: run.report_id, uid: run.report_uid, name: run.name };
  return [
    button("Run again with changes", () => runReport(report, run.parameters)),
    button(
      "Run again",
      async () => {
        /** @type {Api.One<Api.Run>} */
        const { result } = await post(`api/v1/noteflow_run/${part(run.uid)}/re_run`);
        await go(getRunPath(result));
      },
      { kind: "primary" },
    ),
  ];
}

/**
 * @param {Ui.RunView} view
 * @param {Api.Run} run
 * @param {Ui.CallSettings & { signal: AbortSignal }} settings
 */
async function updateBlocks(view, run, settings) {
  const outputs = isFinished(run.status) ? await getOutputs(run, settings) : null;
  /** @type {Api.BlockActivity[]} */
  const blocks = await getRow(`app/activity/run/${part(run.uid)}`, settings);
  const results = blocks.map((block, index) => ({ ...block, ...(outputs?.[index] ?? {}) })).filter(isShown);
  view.isSending = results.some((row) => row.messages?.some((message) => message.status === "pending"));
  const onSend = () => followMessage(view, settings.signal);
  updateChildren(view.blocks, results, {
    getKey: (result) => result.block_uid,
    getLook: (result) => describeLook(run, result),
    make: (result) => makeRunBlock(run, result, { onSend, signal: settings.signal }),
  });
  for (const [index, result] of results.entries())
    showMessagesOf(view.blocks.children[index], result, onSend);
  view.summary.update(run, results);
}

/**
 * @param {Ui.RunView} view
 * @param {string} uid
 */
function showBlock(view, uid) {
  const block = [...view.blocks.children].find(
    (one) => one instanceof HTMLElement && one.dataset.key === uid,
  );
  if (!(block instanceof HTMLElement)) return;
  block.scrollIntoView({ block: "start" });
  block.focus({ preventScroll: true });
}

/**
 * Get what each block of a run that has ended gave.
 *
 * @param {Api.Run} run
 * @param {Ui.CallSettings} settings
 * @returns {Promise<Api.Output[]>}
 */
async function getOutputs(run, settings) {
  /** @type {Api.RunOutputs} */
  const { blocks } = await get(`api/reports/${run.report_id}/run/${run.id}`, settings);
  return blocks;
}

/**
 * A parameter stands above, among the run's parameters; unless it is what went wrong.
 *
 * @param {Ui.ShownResult} result
 */
const isShown = (result) =>
  result.type !== "parameter" || !["success", "pending", "running"].includes(result.status);
