// The newest result of a block, under it: from which run it is, and whether it is old.

import { button } from "../elements/buttons.js";
import { elapsed, makeClock } from "../elements/clock.js";
import { el, fill } from "../elements/dom.js";
import { moment, state } from "../elements/format.js";
import { link } from "../elements/router.js";
import { part } from "../http/addresses.js";
import { post } from "../http/api.js";
import { makeOutput, showMessagesOf } from "../runs/run_block.js";

export class ResultView {
  #report;
  #signal;
  #running = el("div", { class: "result-running", role: "status" });
  #head = el("div", { class: "result-head" });
  #newer = el("div", { class: "result-newer", role: "status" });
  #body = el("div", {});
  #looks = { running: "", newer: "", head: "", body: "" };
  /** The run of the result that is shown. */
  #run = "";
  node = el(
    "div",
    { class: "result", tabindex: "-1", hidden: true },
    this.#running,
    this.#newer,
    this.#head,
    this.#body,
  );

  /** @param {{ report: { uid: string }, signal: AbortSignal }} page */
  constructor({ report, signal }) {
    this.#report = report;
    this.#signal = signal;
  }

  /**
   * Show the newest result. While the reader uses the one that is shown, a newer one is offered, unless the reader has
   * asked for it.
   *
   * @param {Api.NewestResult | null} result
   * @param {Api.UnfinishedBlock | null} running
   * @param {{ age: string, onSend: () => unknown, isAsked?: boolean }} settings
   */
  update(result, running, settings) {
    this.node.hidden = !result && !running;
    if (this.#isNew("running", running)) fill(this.#running, running && makeRunning(this.#report, running));
    const run = result ? `${result.kind} ${result.run_id}` : "";
    if (result && this.#run && run !== this.#run && !settings.isAsked && this.#isInUse()) {
      if (this.#isNew("newer", [run, result.status])) this.#offer(result, settings);
      return;
    }
    this.#run = run;
    this.#show(result, settings);
  }

  /**
   * @param {Api.NewestResult | null} result
   * @param {{ age: string, onSend: () => unknown }} settings
   */
  #show(result, { age, onSend }) {
    const hadFocus = this.#newer.contains(document.activeElement);
    if (this.#isNew("newer", null)) fill(this.#newer);
    if (hadFocus) this.node.focus({ preventScroll: true }); // the button is gone
    this.node.classList.toggle("old", Boolean(result && age));
    if (this.#isNew("head", result && [result, age])) fill(this.#head, result && this.#makeHead(result, age));
    const look = result && [result.kind, result.run_id, result.status];
    if (this.#isNew("body", look)) this.#drawBody(result, onSend);
    if (result) showMessagesOf(this.#body.querySelector(":scope > .result-output"), result, onSend);
  }

  /**
   * @param {"running" | "newer" | "head" | "body"} which
   * @param {unknown} seen
   */
  #isNew(which, seen) {
    const look = JSON.stringify(seen);
    if (this.#looks[which] === look) return false;
    this.#looks[which] = look;
    return true;
  }

  /** Whether the reader is in the result or on the offer of a newer one, has searched or sorted its rows, turned their pages, or selected text. */
  #isInUse() {
    const selection = document.getSelection();
    const isSelected = selection && !selection.isCollapsed && this.#body.contains(selection.anchorNode);
    const isFocused = [this.#newer, this.#body].some((part) => part.contains(document.activeElement));
    return isSelected || isFocused || this.#body.querySelector("[data-used]") !== null;
  }

  /**
   * @param {Api.NewestResult} result
   * @param {{ age: string, onSend: () => unknown }} settings
   */
  #offer(result, settings) {
    const show = () => {
      this.#run = `${result.kind} ${result.run_id}`;
      this.#show(result, settings);
      this.node.focus({ preventScroll: true }); // also where a click gives buttons no focus
    };
    const hadFocus = this.#newer.contains(document.activeElement);
    const offer = button("Show the newer result", show, { kind: "quiet reads" });
    fill(this.#newer, el("span", {}, "A newer run has ended: ", state(result.status), "."), offer);
    if (hadFocus) offer.focus({ preventScroll: true });
  }

  /**
   * @param {Api.NewestResult} result
   * @param {string} age
   */
  #makeHead({ kind, run_id, status, started_on, finished_on }, age) {
    const place = `reports/${part(this.#report.uid)}/runs/${run_id}`;
    return [
      state(status),
      kind === "run" ? link(place, `Run ${run_id}`) : el("span", { class: "hint" }, "run alone"),
      el("span", { class: "hint" }, moment(finished_on ?? started_on)),
      started_on && finished_on && el("span", { class: "hint" }, elapsed(started_on, finished_on)),
      age && el("span", { class: "stale", title: age }, el("strong", {}, "Stale"), `: ${age}`),
    ];
  }

  /**
   * @param {Api.NewestResult | null} result
   * @param {() => unknown} onSend
   */
  #drawBody(result, onSend) {
    if (!result) return fill(this.#body);
    const { error, max_rows, is_truncated } = result;
    const output = el("div", { class: "result-output" });
    fill(
      this.#body,
      error && el("pre", { class: result.status === "failed" ? "fault" : "note" }, error),
      is_truncated &&
        el("p", { class: "warning" }, `Truncated after ${max_rows} rows, which is the query’s limit.`),
      output,
    );
    if (result.status !== "success" || result.type === "parameter") return;
    const base = `app/results/${result.kind}/${result.run_id}/${part(result.block_uid)}`;
    // Each run replaces them: those that nobody sees are not read.
    fill(output, makeOutput(result, base, { onSend, signal: this.#signal, isOnlyNear: true }));
  }
}

/**
 * Make what is shown of a block that runs, or waits for its turn.
 *
 * @param {{ uid: string }} report
 * @param {Api.UnfinishedBlock} running
 * @param {() => unknown} whenCancelled
 * @returns {Ui.Child}
 */
export function makeRunning({ uid }, { kind, run_id, status, started_on }, whenCancelled = () => {}) {
  const path =
    kind === "run"
      ? `api/v1/noteflow_run/${run_id}/cancel`
      : `app/notebook/${part(uid)}/block_runs/${run_id}/cancel`;
  return [
    state(status),
    started_on && el("span", { class: "hint" }, makeClock(started_on)),
    kind === "run" && link(`reports/${part(uid)}/runs/${run_id}`, `Run ${run_id}`),
    button("Cancel", async () => {
      await post(path);
      await whenCancelled();
    }),
  ];
}
