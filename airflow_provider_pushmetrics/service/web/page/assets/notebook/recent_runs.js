// The last runs of a report, which appear by themselves; among them the calls of its trigger.

import { elapsed } from "../elements/clock.js";
import { el, fill } from "../elements/dom.js";
import { moment, state, writeParameters } from "../elements/format.js";
import { updateChildren } from "../elements/redraw.js";
import { link } from "../elements/router.js";
import { part } from "../http/addresses.js";
import { getList } from "../http/api.js";
import { watchRuns } from "../http/live.js";
import { getRunPath } from "../runs/runs.js";

const MOST_READ = 25;
const MOST_RUNS = 8;
const MOST_CALLS = 5;

export class RecentRuns {
  #report;
  #signal;
  #turn = 0;
  #runs = el("ol", { class: "recent" });
  #calls = el("ol", { class: "recent" });
  #noRuns = el("p", { class: "hint" }, "It has not run yet.");
  #noCalls = el("p", { class: "hint" }, `None among the last ${MOST_READ} runs.`);
  runs = el("div", { "aria-live": "polite" });
  calls = el("div", {});

  /**
   * @param {Api.Report} report
   * @param {AbortSignal} signal
   */
  constructor(report, signal) {
    this.#report = report;
    this.#signal = signal;
    fill(
      this.runs,
      this.#noRuns,
      this.#runs,
      el("p", {}, link(`reports/${part(report.uid)}/runs`, "All runs")),
    );
    fill(this.calls, this.#noCalls, this.#calls);
  }

  /** Read the runs now, and whenever some have changed. */
  async start() {
    await this.#read();
    watchRuns(() => this.#read({ isUnasked: true }), this.#signal);
  }

  /** @param {Pick<Ui.CallSettings, "isUnasked">} [settings] */
  async #read({ isUnasked } = {}) {
    this.#turn += 1;
    const turn = this.#turn;
    const { result } = await getList("api/v1/noteflow_run/", {
      query: { report_uid: this.#report.uid },
      size: MOST_READ,
      signal: this.#signal,
      isUnasked,
    });
    if (turn !== this.#turn) return;
    const called = result.filter((run) => run.origin === "webhook");
    for (const [place, none, runs] of /** @type {const} */ ([
      [this.#runs, this.#noRuns, result.slice(0, MOST_RUNS)],
      [this.#calls, this.#noCalls, called.slice(0, MOST_CALLS)],
    ])) {
      none.hidden = runs.length > 0;
      updateChildren(place, runs, { getKey: (run) => run.id, getLook: JSON.stringify, make: makeItem });
    }
  }
}

/** @param {Api.Run} run */
function makeItem(run) {
  const values = writeParameters(run.parameters);
  return el(
    "li",
    {},
    el(
      "div",
      { class: "recent-line" },
      link(getRunPath(run), `Run ${run.id}`),
      state(run.status),
      el("span", { class: "hint" }, elapsed(run.start_time, run.end_time)),
    ),
    el(
      "div",
      { class: "hint" },
      moment(run.start_time ?? run.created_on),
      ` · ${run.started_by ?? run.origin}`,
    ),
    values !== "–" && el("div", { class: "hint code clip", title: values }, values),
  );
}
